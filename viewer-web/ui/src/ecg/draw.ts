// Draws grid, calibration pulses and traces on a canvas; colours come from the theme's tokens.
import type { Paper } from './geometry';
import { pulse, xOf, yOf } from './geometry';

const MINOR_LINE_PX = 0.6;
const MAJOR_LINE_PX = 0.9;
const TRACE_LINE_PX = 1.2;

export interface Samples { leads: string[]; rate_hz: number; mv: Float32Array[] }
/** An earlier tracing drawn under this one; `shift_s` brings its beats to the same place. */
export interface PriorTrace { samples: Samples; shift_s: number }

/** Something to be seen at a moment: a beat with its class, or an edge of a wave. */
export interface PaperMark { time_s: number; kind: 'beat' | 'p' | 'qrs' | 't'; text?: string }
const MARK_TOKENS = { beat: '--text-2', p: '--info', qrs: '--ok', t: '--hr' } as const;
const BEAT_MM = 2;
const EDGE_MM = 4;

const token = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export function drawPaper(canvas: HTMLCanvasElement, paper: Paper, px_mm: number, samples: Samples | null, prior: PriorTrace | null = null, marks: readonly PaperMark[] = []): void {
  const ratio = Math.min(2, devicePixelRatio || 1);
  const w = paper.width_mm * px_mm;
  const h = paper.height_mm * px_mm;
  canvas.width = Math.round(w * ratio);
  canvas.height = Math.round(h * ratio);
  canvas.style.width = `${w}px`;
  canvas.style.height = `${h}px`;
  const x = canvas.getContext('2d');
  if (!x) return;
  x.scale(ratio, ratio);
  x.fillStyle = token('--paper');
  x.fillRect(0, 0, w, h);
  lines(x, w, h, px_mm, token('--paper-minor'), MINOR_LINE_PX);
  lines(x, w, h, 5 * px_mm, token('--paper-major'), MAJOR_LINE_PX);
  x.strokeStyle = token('--trace');
  x.lineWidth = TRACE_LINE_PX;
  x.lineJoin = 'round';
  for (const p of paper.pulses) stroke(x, pulse(paper.speed_mm_s, paper.gain_mm_mv).map(([dx, dy]) => [(p.x_mm + dx) * px_mm, (p.zero_mm + dy) * px_mm]));
  if (prior) {
    x.strokeStyle = token('--trace-prior');
    for (const trace of paper.traces) {
      const mv = prior.samples.mv[prior.samples.leads.indexOf(trace.lead)];
      if (mv) drawTrace(x, paper, trace, mv, prior.samples.rate_hz, px_mm, prior.shift_s);
    }
    x.strokeStyle = token('--trace');
  }
  for (const trace of paper.traces) {
    if (trace.from_s > 0) separator(x, trace.x_mm * px_mm, trace.zero_mm * px_mm, px_mm);
    const k = samples?.leads.indexOf(trace.lead) ?? -1;
    const mv = samples?.mv[k];
    if (mv && samples) drawTrace(x, paper, trace, mv, samples.rate_hz, px_mm);
  }
  drawMarks(x, paper, px_mm, marks);
}

function drawMarks(x: CanvasRenderingContext2D, paper: Paper, px_mm: number, marks: readonly PaperMark[]): void {
  x.font = `600 ${2.6 * px_mm}px sans-serif`;
  for (const trace of paper.traces) {
    for (const mark of marks) {
      if (mark.time_s < trace.from_s || mark.time_s >= trace.to_s) continue;
      const at = xOf(paper, trace, mark.time_s) * px_mm;
      const top = trace.row * paper.row_mm + 0.5;
      const half = Math.min(EDGE_MM, paper.row_mm * 0.4);
      x.strokeStyle = x.fillStyle = token(MARK_TOKENS[mark.kind]);
      const [from, to] = mark.kind === 'beat' ? [top, top + BEAT_MM] : [trace.zero_mm - half, trace.zero_mm + half];
      stroke(x, [[at, from * px_mm], [at, to * px_mm]]);
      if (mark.text) x.fillText(mark.text, at + 2, (top + BEAT_MM) * px_mm);
    }
  }
}

function lines(x: CanvasRenderingContext2D, w: number, h: number, step: number, colour: string, width: number): void {
  x.strokeStyle = colour;
  x.lineWidth = width;
  x.beginPath();
  for (let p = 0; p <= w + 0.5; p += step) {
    x.moveTo(p, 0);
    x.lineTo(p, h);
  }
  for (let p = 0; p <= h + 0.5; p += step) {
    x.moveTo(0, p);
    x.lineTo(w, p);
  }
  x.stroke();
}

function stroke(x: CanvasRenderingContext2D, points: number[][]): void {
  x.beginPath();
  points.forEach(([px, py], k) => (k ? x.lineTo(px ?? 0, py ?? 0) : x.moveTo(px ?? 0, py ?? 0)));
  x.stroke();
}

function separator(x: CanvasRenderingContext2D, px: number, zero: number, px_mm: number): void {
  stroke(x, [[px, zero - 4 * px_mm], [px, zero - 1.5 * px_mm]]);
  stroke(x, [[px, zero + 1.5 * px_mm], [px, zero + 4 * px_mm]]);
}

/** Every sample is drawn while samples are sparser than pixels; else the extremes of each pixel column, so that no R peak is lost. */
function drawTrace(x: CanvasRenderingContext2D, paper: Paper, trace: Paper['traces'][number], mv: Float32Array, rate_hz: number, px_mm: number, shift_s = 0): void {
  const first = Math.max(0, Math.round((trace.from_s - shift_s) * rate_hz));
  const last = Math.min(mv.length - 1, Math.round((trace.to_s - shift_s) * rate_hz));
  const perPixel = rate_hz / (paper.speed_mm_s * px_mm);
  const at = (i: number, value: number): [number, number] => [xOf(paper, trace, i / rate_hz + shift_s) * px_mm, yOf(paper, trace, value) * px_mm];
  x.beginPath();
  const step = Math.max(1, Math.floor(perPixel));
  for (let i = first; i <= last; i += step) {
    let low = Infinity;
    let high = -Infinity;
    for (let k = i; k < Math.min(i + step, last + 1); k++) {
      const v = mv[k] ?? 0;
      if (Number.isNaN(v)) continue;
      low = Math.min(low, v);
      high = Math.max(high, v);
    }
    if (!Number.isFinite(low)) continue;
    const [px, yHigh] = at(i, high);
    if (i === first) x.moveTo(px, yHigh);
    else x.lineTo(px, yHigh);
    if (low !== high) x.lineTo(px, at(i, low)[1]);
  }
  x.stroke();
}
