// ECG paper at true scale: where each lead, its time and its zero line lie, in millimetres. Pure.

/** CSS pixels per millimetre at 96 dpi; a calibrated screen has its own value. */
export const CSS_PX_PER_MM = 96 / 25.4;
export type LayoutName = '3x4+1' | '6x2' | '12x1' | 'cabrera';
export const LAYOUT_NAMES: readonly LayoutName[] = ['3x4+1', '6x2', '12x1', 'cabrera'];
export const SPEEDS_MM_S = [25, 50] as const;
export const GAINS_MM_MV = [5, 10, 20] as const;

/** Limb leads in the order of the frontal plane; aVR is drawn upside down. */
const CABRERA = ['aVL', 'I', 'aVR', 'II', 'aVF', 'III', 'V1', 'V2', 'V3', 'V4', 'V5', 'V6'];
const STANDARD = ['I', 'II', 'III', 'aVR', 'aVL', 'aVF', 'V1', 'V2', 'V3', 'V4', 'V5', 'V6'];
/** Space for the calibration pulse at the start of each line. */
export const PULSE_ROOM_MM = 9;
const PULSE_MV = 1;
const PULSE_S = 0.2;
const RIGHT_MARGIN_MM = 2;
const FOOT_MM = 4;
/** Height of a line at 10 mm/mV, by number of lines. */
const ROW_MM: Record<LayoutName, number> = { '3x4+1': 31, '6x2': 24, '12x1': 16, cabrera: 24 };
/** Zero line within its row, from the top. */
const ZERO_AT_SHARE = 0.58;

export interface Trace { lead: string; label: string; sign: 1 | -1; row: number; x_mm: number; zero_mm: number; from_s: number; to_s: number; rhythm: boolean }
export interface Paper { width_mm: number; height_mm: number; row_mm: number; rows: number; traces: Trace[]; pulses: { x_mm: number; zero_mm: number }[]; speed_mm_s: number; gain_mm_mv: number }

/** Leads in the order of the layout, those that the record has; other leads follow in their own order. */
export function orderedLeads(available: readonly string[]): string[] {
  const known = STANDARD.filter((lead) => available.includes(lead));
  return [...known, ...available.filter((lead) => !STANDARD.includes(lead))];
}

function columns(leads: readonly string[], rows: number): string[][] {
  const count = Math.ceil(leads.length / rows);
  return Array.from({ length: count }, (_, c) => leads.slice(c * rows, c * rows + rows));
}

/** Lays out `seconds` of recording. Column times follow each other: each column shows its own part of the same strip. */
export function layOut(available: readonly string[], layout: LayoutName, seconds: number, speed_mm_s: number, gain_mm_mv: number): Paper {
  const leads = orderedLeads(available);
  const standard = leads.length === STANDARD.length && leads.every((lead, k) => lead === STANDARD[k]);
  const rowsOf = layout === '3x4+1' ? 3 : layout === '12x1' ? 12 : 6;
  const cabrera = standard && layout === 'cabrera';
  const grid = standard ? columns(cabrera ? CABRERA : leads, rowsOf) : [leads];
  const shown = (lead: string): Pick<Trace, 'lead' | 'label' | 'sign'> => (cabrera && lead === 'aVR' ? { lead, label: '-aVR', sign: -1 } : { lead, label: lead, sign: 1 });
  const rhythmLead = layout === '3x4+1' && standard ? 'II' : null;
  const gridRows = standard ? rowsOf : leads.length;
  const rows = gridRows + (rhythmLead ? 1 : 0);
  const row_mm = Math.max(10, (standard ? ROW_MM[layout] : 18) * Math.max(0.8, gain_mm_mv / 10));
  const part_s = seconds / grid.length;
  const zeroOf = (row: number) => row_mm * (row + ZERO_AT_SHARE);
  const traces: Trace[] = [];
  grid.forEach((column, c) => column.forEach((lead, row) => traces.push({ ...shown(lead), row, x_mm: PULSE_ROOM_MM + c * part_s * speed_mm_s, zero_mm: zeroOf(row), from_s: c * part_s, to_s: (c + 1) * part_s, rhythm: false })));
  if (rhythmLead) traces.push({ ...shown(rhythmLead), row: gridRows, x_mm: PULSE_ROOM_MM, zero_mm: zeroOf(gridRows), from_s: 0, to_s: seconds, rhythm: true });
  return {
    width_mm: PULSE_ROOM_MM + seconds * speed_mm_s + RIGHT_MARGIN_MM, height_mm: rows * row_mm + FOOT_MM, row_mm, rows, traces,
    pulses: Array.from({ length: rows }, (_, row) => ({ x_mm: 1, zero_mm: zeroOf(row) })), speed_mm_s, gain_mm_mv,
  };
}

/** Corners of the calibration pulse, 1 mV high and 200 ms long, as mm offsets from its start on the zero line. */
export function pulse(speed_mm_s: number, gain_mm_mv: number): [number, number][] {
  const high = PULSE_MV * gain_mm_mv;
  const long = PULSE_S * speed_mm_s;
  const foot = Math.max(0.4, Math.min(1, (PULSE_ROOM_MM - 2 - long) / 2));
  return [[0, 0], [foot, 0], [foot, -high], [foot + long, -high], [foot + long, 0], [foot + long + foot, 0]];
}

/** The trace and its time under a point of the paper; null beside the traces. */
export function traceAt(paper: Paper, x_mm: number, y_mm: number): { trace: Trace; time_s: number; level_mv: number } | null {
  const row = Math.max(0, Math.min(paper.rows - 1, Math.floor(y_mm / paper.row_mm)));
  for (const trace of paper.traces) {
    if (trace.row !== row) continue;
    const time_s = trace.from_s + (x_mm - trace.x_mm) / paper.speed_mm_s;
    if (time_s >= trace.from_s - 1e-9 && time_s <= trace.to_s + 1e-9) return { trace, time_s, level_mv: (trace.sign * (trace.zero_mm - y_mm)) / paper.gain_mm_mv };
  }
  return null;
}

export const xOf = (paper: Paper, trace: Trace, time_s: number): number => trace.x_mm + (time_s - trace.from_s) * paper.speed_mm_s;
export const yOf = (paper: Paper, trace: Trace, level_mv: number): number => trace.zero_mm - trace.sign * level_mv * paper.gain_mm_mv;
