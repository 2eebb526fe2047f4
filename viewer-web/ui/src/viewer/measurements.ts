// Measurements of a study: plain records, kept with the draft and in this browser, independent of the drawing library.
import { signal, type Signal } from '@preact/signals';
import { keep, recall } from '../lib/local';
import { session } from '../session';

export interface Measurement {
  id: string; tool: string; series_uid: string; sop_instance_uid: string; frame: number; image: number;
  points: number[][]; normal?: number[]; up?: number[]; frame_of_reference?: string; text: string; label?: string;
}

const store = () => localStorage;
const keyOf = (studyUid: string) => `measure.${session.value?.user ?? ''}.${studyUid}`;

/** The measurements of one study as a signal; each change is kept in this browser at once. */
export class MeasurementList {
  readonly list: Signal<Measurement[]>;
  readonly studyUid: string;
  onChange: ((list: Measurement[]) => void) | null = null;
  constructor(studyUid: string) {
    this.studyUid = studyUid;
    this.list = signal(recall<Measurement[]>(keyOf(studyUid), store()) ?? []);
  }
  put(m: Measurement): void {
    const at = this.list.value.findIndex((known) => known.id === m.id);
    this.write(at < 0 ? [...this.list.value, m] : this.list.value.map((known, k) => (k === at ? m : known)));
  }
  remove(id: string): void {
    if (this.list.value.some((m) => m.id === id)) this.write(this.list.value.filter((m) => m.id !== id));
  }
  /** Takes measurements that came with the draft and are unknown here. */
  merge(others: unknown): Measurement[] {
    if (!Array.isArray(others)) return [];
    const fresh = others.filter(isMeasurement).filter((m) => !this.list.value.some((known) => known.id === m.id));
    if (fresh.length) {
      this.list.value = [...this.list.value, ...fresh];
      keep(keyOf(this.studyUid), this.list.value, store());
    }
    return fresh;
  }
  private write(list: Measurement[]): void {
    this.list.value = list;
    keep(keyOf(this.studyUid), list, store());
    this.onChange?.(list);
  }
}

export function isMeasurement(value: unknown): value is Measurement {
  const m = value as Partial<Measurement> | null;
  return !!m && typeof m.id === 'string' && typeof m.tool === 'string' && typeof m.text === 'string' && Array.isArray(m.points) && m.points.every((p) => Array.isArray(p) && p.length === 3 && p.every(Number.isFinite));
}

type Stats = Record<string, unknown>;
const num = (value: unknown): number | null => (typeof value === 'number' && Number.isFinite(value) ? value : null);
const unitOf = (stats: Stats, key: string, fallback: string): string => (typeof stats[key] === 'string' ? (stats[key] as string) : fallback).split(' ')[0] ?? fallback;

/** One line for a measurement from the tool's statistics: "21.0 mm", "34.5°", "38 HU (12–64)". */
export function measurementText(tool: string, stats: Stats | undefined): string {
  if (!stats) return '';
  const length = num(stats.length);
  if (tool === 'Length' && length !== null) return `${length.toFixed(1)} ${unitOf(stats, 'unit', 'mm')}`;
  const width = num(stats.width);
  if (tool === 'Bidirectional' && length !== null && width !== null) return `${Math.max(length, width).toFixed(1)} × ${Math.min(length, width).toFixed(1)} ${unitOf(stats, 'unit', 'mm')}`;
  const angle = num(stats.angle);
  if (tool === 'Angle' && angle !== null) return `${angle.toFixed(1)}°`;
  const mean = num(stats.mean);
  if (tool === 'EllipticalROI' && mean !== null) {
    const area = num(stats.area);
    return [`${mean.toFixed(0)} ${unitOf(stats, 'modalityUnit', '')}`.trim(), num(stats.stdDev) !== null ? `SD ${num(stats.stdDev)?.toFixed(0)}` : '', area !== null ? `${area.toFixed(0)} ${unitOf(stats, 'areaUnit', 'mm²')}` : ''].filter(Boolean).join('  ');
  }
  const value = num(stats.value);
  if (tool === 'Probe' && value !== null) return `${value.toFixed(0)} ${unitOf(stats, 'modalityUnit', '')}`.trim();
  return '';
}
