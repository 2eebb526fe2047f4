// Analysis and samples of a waveform study.
import { ApiError, binary, get } from '../api/client';
import { url } from '../api/paths';
import type { EcgAnalysis, EcgLayout } from '../api/types';
import type { Samples } from './draw';

export type FilterPath = 'diagnostic' | 'display' | 'raw';
export const FILTER_PATHS: readonly FilterPath[] = ['diagnostic', 'display', 'raw'];
const UV_PER_MV = 1000;
/** Marks a missing sample in the 16-bit stream. */
const MISSING = -32768;

export const ecgAnalysis = (uid: string): Promise<EcgAnalysis> => get<EcgAnalysis>(url('ecg', { uid }));

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
