// Calipers: interval, rate and amplitude between two points of the paper. Pure.

export interface Calipers { mode: 'time' | 'amplitude'; x1_mm: number; x2_mm: number; y1_mm: number; y2_mm: number }
export interface Reading { interval_ms: number; rate_bpm: number | null; amplitude_mv: number }
const MS_PER_MINUTE = 60_000;
/** Shorter intervals have no meaningful rate. */
const MIN_RATE_INTERVAL_MS = 150;

export function read(c: Calipers, speed_mm_s: number, gain_mm_mv: number): Reading {
  const interval_ms = Math.round((Math.abs(c.x2_mm - c.x1_mm) / speed_mm_s) * 1000);
  return {
    interval_ms,
    rate_bpm: interval_ms >= MIN_RATE_INTERVAL_MS ? Math.round(MS_PER_MINUTE / interval_ms) : null,
    amplitude_mv: (c.y1_mm - c.y2_mm) / gain_mm_mv,
  };
}

export function readingText(mode: Calipers['mode'], r: Reading): string {
  if (mode === 'amplitude') return `${r.amplitude_mv >= 0 ? '+' : '−'}${Math.abs(r.amplitude_mv).toFixed(2)} mV`;
  return r.rate_bpm ? `${r.interval_ms} ms ${r.rate_bpm} bpm` : `${r.interval_ms} ms`;
}

/** The nearest beat to a time, if close enough; else the time itself. */
export function snap(time_s: number, beats_s: readonly number[], reach_s = 0.12): number {
  let best = time_s;
  let far = reach_s;
  for (const beat of beats_s) {
    const d = Math.abs(beat - time_s);
    if (d < far) {
      far = d;
      best = beat;
    }
  }
  return best;
}

/** Seconds by which a prior is moved so that its beat nearest the start lies on this tracing's first one. */
export function alignBeats(beats_s: readonly number[], prior_s: readonly number[]): number {
  const first = beats_s[0];
  if (first === undefined || prior_s.length === 0) return 0;
  return first - snap(first, prior_s, Infinity);
}
