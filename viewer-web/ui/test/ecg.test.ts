import { describe, expect, it } from 'vitest';
import { alignBeats, read, readingText, snap, type Calipers } from '../src/ecg/calipers';
import { signedChange } from '../src/ecg/compare';
import { decodeSamples, paperMarks } from '../src/ecg/data';
import { layOut, orderedLeads, pulse, traceAt, xOf, yOf, type LayoutName } from '../src/ecg/geometry';
import { notableSt } from '../src/ecg/machine';

const LEADS = ['I', 'II', 'III', 'aVR', 'aVL', 'aVF', 'V1', 'V2', 'V3', 'V4', 'V5', 'V6'];

describe('paper geometry', () => {
  it.each<[LayoutName, number, number, number]>([['3x4+1', 13, 4, 261], ['6x2', 12, 6, 261], ['12x1', 12, 12, 261]])('%s: %i traces in %i lines', (layout, traces, rows, width) => {
    const paper = layOut(LEADS, layout, 10, 25, 10);
    expect(paper.traces).toHaveLength(traces);
    expect(paper.rows).toBe(rows);
    expect(paper.width_mm).toBe(width);
    expect(paper.pulses).toHaveLength(rows);
  });
  it('keeps 25 mm a second and 10 mm a millivolt', () => {
    const paper = layOut(LEADS, '3x4+1', 10, 25, 10);
    const trace = paper.traces.find((one) => one.lead === 'V1')!;
    expect(trace.from_s).toBe(5);
    expect(xOf(paper, trace, 6) - xOf(paper, trace, 5)).toBe(25);
    expect(yOf(paper, trace, 0) - yOf(paper, trace, 1)).toBe(10);
    expect(xOf(paper, trace, 5)).toBe(9 + 5 * 25);
  });
  it('doubles the width at 50 mm/s', () => expect(layOut(LEADS, '6x2', 10, 50, 10).width_mm).toBe(9 + 500 + 2));
  it('puts leads in clinical order whatever the record says', () => expect(orderedLeads([...LEADS].reverse())).toEqual(LEADS));
  it('shows a record without twelve leads in full, lead under lead', () => {
    const paper = layOut(['X', 'II'], '3x4+1', 10, 25, 10);
    expect(paper.traces.map((one) => [one.lead, one.from_s, one.to_s])).toEqual([['II', 0, 10], ['X', 0, 10]]);
  });
  it('columns follow each other in time and cover the strip', () => {
    const paper = layOut(LEADS, '3x4+1', 10, 25, 10);
    const first = paper.traces.filter((one) => one.row === 0 && !one.rhythm);
    expect(first.map((one) => one.lead)).toEqual(['I', 'aVR', 'V1', 'V4']);
    first.forEach((one, k) => expect([one.from_s, one.to_s]).toEqual([k * 2.5, (k + 1) * 2.5]));
    expect(paper.traces.at(-1)).toMatchObject({ lead: 'II', rhythm: true, from_s: 0, to_s: 10 });
  });
  it.each([[25, 10, 5, 10], [50, 20, 10, 20], [25, 5, 5, 5]])('pulse at %i mm/s, %i mm/mV: %i mm long, %i mm high', (speed, gain, long, high) => {
    const p = pulse(speed, gain);
    expect(p[3]![0] - p[2]![0]).toBeCloseTo(long);
    expect(-p[2]![1]).toBe(high);
  });
  it('finds the trace under a point and comes back to it', () => {
    const paper = layOut(LEADS, '3x4+1', 10, 25, 10);
    const hit = traceAt(paper, 9 + 2.5 * 25 + 10, 5)!;
    expect(hit.trace.lead).toBe('aVR');
    expect(hit.time_s).toBeCloseTo(2.9);
    expect(traceAt(paper, 1, 5)).toBeNull();
  });
});

describe('Cabrera layout', () => {
  const paper = layOut(LEADS, 'cabrera', 10, 25, 10);
  it('puts the limb leads in the order of the frontal plane', () => expect(paper.traces.slice(0, 6).map((one) => one.label)).toEqual(['aVL', 'I', '-aVR', 'II', 'aVF', 'III']));
  it('draws aVR upside down and reads it the right way', () => {
    const trace = paper.traces[2]!;
    expect(yOf(paper, trace, 1) - yOf(paper, trace, 0)).toBe(10);
    expect(traceAt(paper, trace.x_mm + 5, trace.zero_mm + 10)!.level_mv).toBeCloseTo(1);
  });
  it('leaves other leads as they are', () => expect(layOut(['X', 'II'], 'cabrera', 10, 25, 10).traces.map((one) => one.label)).toEqual(['II', 'X']));
});

describe('marks', () => {
  const analysis = { sampling_rate_hz: 500, duration_s: 10, leads: LEADS, rhythm: 'sinus_rhythm', measurements: {}, statements: [], critical: [], beats: [{ sample: 250, label: 'N' }, { sample: 500, label: 'V' }] };
  const edges = { sampling_rate_hz: 500, beats: [{ p_on: null, p_off: null, qrs_on: 230, qrs_off: 270, t_off: 400 }] };
  it.each([['none', 0], ['beats', 2], ['fiducials', 5]] as const)('%s: %i', (wanted, count) => expect(paperMarks(wanted, analysis, edges)).toHaveLength(count));
  it('names beats that are not normal', () => expect(paperMarks('beats', analysis, undefined)).toEqual([{ time_s: 0.5, kind: 'beat' }, { time_s: 1, kind: 'beat', text: 'V' }]));
});

describe('changes', () => {
  it.each([[12.4, 0, '+12'], [-3, 0, '−3'], [0.2, 0, '0'], [-0.001, 2, '0'], [0.15, 2, '+0.15']])('%f with %i digits: %s', (value, digits, text) => expect(signedChange(value, digits)).toBe(text));
});

describe('calipers', () => {
  const c = (part: Partial<Calipers>): Calipers => ({ mode: 'time', x1_mm: 0, x2_mm: 0, y1_mm: 0, y2_mm: 0, ...part });
  it.each([[20, 25, '800 ms 75 bpm'], [20, 50, '400 ms 150 bpm'], [-25, 25, '1000 ms 60 bpm'], [1, 25, '40 ms']])('%f mm at %i mm/s reads %s', (mm, speed, text) => {
    expect(readingText('time', read(c({ x1_mm: 30, x2_mm: 30 + mm }), speed, 10))).toBe(text);
  });
  it.each([[12, 2, 10, '+1.00 mV'], [2, 12, 10, '−1.00 mV'], [8, 2, 20, '+0.30 mV']])('from %i to %i mm at %i mm/mV reads %s', (y1, y2, gain, text) => {
    expect(readingText('amplitude', read(c({ mode: 'amplitude', y1_mm: y1, y2_mm: y2 }), 25, gain))).toBe(text);
  });
  it('snaps to the nearest beat in reach only', () => {
    expect(snap(1.05, [0.2, 1, 1.9])).toBe(1);
    expect(snap(1.45, [0.2, 1, 1.9])).toBe(1.45);
  });
});

describe('prior overlay', () => {
  it.each([[[0.5, 1.3], [0.2, 1.0], 0.3], [[0.9], [0.1, 0.8, 1.6], 0.1], [[], [0.2], 0], [[0.2], [], 0]])('%j over %j moves by %f s', (now, before, shift) => expect(alignBeats(now, before)).toBeCloseTo(shift));
});

describe('samples', () => {
  it('reads little-endian 16-bit values as millivolts, missing as gaps', () => {
    const bytes = new DataView(new ArrayBuffer(8));
    [1000, -500, -32768, 2].forEach((v, i) => bytes.setInt16(i * 2, v, true));
    const s = decodeSamples(bytes.buffer, { leads: ['I', 'II'], samples: 2, sampling_rate_hz: 500, uv_per_unit: 2 });
    expect([...s.mv[0]!]).toEqual([2, -1]);
    expect(s.mv[1]![0]).toBeNaN();
    expect(s.mv[1]![1]).toBeCloseTo(0.004);
  });
  it('refuses a cut stream', () => expect(() => decodeSamples(new ArrayBuffer(6), { leads: ['I'], samples: 4, sampling_rate_hz: 500, uv_per_unit: 1 })).toThrow('6 < 8'));
  it('lists ST levels of note, largest first, without aVR', () => expect(notableSt({ I: -0.11, II: 0.05, III: 0.35, aVR: -0.9 })).toEqual([['III', 0.35], ['I', -0.11]]));
});
