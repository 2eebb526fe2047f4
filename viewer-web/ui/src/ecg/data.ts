// Analysis and samples of a waveform study.
import { ApiError, binary, get } from '../api/client';
import { url } from '../api/paths';
import type { EcgAnalysis, EcgLayout, EcgMarks, EcgPrevious, KeptFile, Page } from '../api/types';
import type { PaperMark, Samples } from './draw';

export type FilterPath = 'diagnostic' | 'display' | 'raw';
export const FILTER_PATHS: readonly FilterPath[] = ['diagnostic', 'display', 'raw'];
const UV_PER_MV = 1000;
/** Marks a missing sample in the 16-bit stream. */
const MISSING = -32768;

export const ecgAnalysis = (uid: string): Promise<EcgAnalysis> => get<EcgAnalysis>(url('ecg', { uid }));

export const ecgPrevious = (uid: string): Promise<EcgPrevious> => get<EcgPrevious>(url('ecgPrevious', { uid }));
export const ecgFiles = async (uid: string): Promise<KeptFile[]> => (await get<Page<KeptFile>>(url('ecgFiles', { uid }))).items;
export const ecgMarks = (uid: string): Promise<EcgMarks> => get<EcgMarks>(url('ecgMarks', { uid }));

export type MarksName = 'none' | 'beats' | 'fiducials';
export const MARKS_NAMES: readonly MarksName[] = ['none', 'beats', 'fiducials'];

/** What is marked on the paper: beats of the analysis, and the edges of waves where they were asked for. */
export function paperMarks(wanted: MarksName, analysis: EcgAnalysis | undefined, marks: EcgMarks | undefined): PaperMark[] {
  if (wanted === 'none' || !analysis) return [];
  const out: PaperMark[] = (analysis.beats ?? []).map((b) => ({ time_s: b.sample / analysis.sampling_rate_hz, kind: 'beat', ...(b.label === 'N' ? {} : { text: b.label }) }));
  if (wanted !== 'fiducials' || !marks) return out;
  for (const beat of marks.beats) {
    for (const [name, kind] of [['p_on', 'p'], ['p_off', 'p'], ['qrs_on', 'qrs'], ['qrs_off', 'qrs'], ['t_off', 't']] as const) {
      const sample = beat[name];
      if (sample !== null && sample !== undefined) out.push({ time_s: sample / marks.sampling_rate_hz, kind });
    }
  }
  return out;
}

/** Little-endian 16-bit samples, lead after lead, to millivolts. */
export function decodeSamples(bytes: ArrayBuffer, layout: EcgLayout): Samples {
  const needed = layout.leads.length * layout.samples * 2;
  if (bytes.byteLength < needed) throw new ApiError(-1, `${bytes.byteLength} < ${needed} bytes`);
  const view = new DataView(bytes);
  const scale = layout.uv_per_unit / UV_PER_MV;
  const mv = layout.leads.map((_, lead) => {
    const out = new Float32Array(layout.samples);
    for (let i = 0; i < layout.samples; i++) {
      const raw = view.getInt16((lead * layout.samples + i) * 2, true);
      out[i] = raw === MISSING ? NaN : raw * scale;
    }
    return out;
  });
  return { leads: layout.leads, rate_hz: layout.sampling_rate_hz, mv };
}

export async function ecgSamples(uid: string, path: FilterPath): Promise<Samples> {
  const { bytes, headers } = await binary(url('ecgSamples', { uid }, { path }));
  const layout = JSON.parse(headers.get('x-ecg-layout') ?? 'null') as EcgLayout | null;
  if (!layout) throw new ApiError(-1, 'X-Ecg-Layout');
  return decodeSamples(bytes, layout);
}
