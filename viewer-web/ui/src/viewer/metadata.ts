// Series metadata from DICOMweb (PS3.18): which images there are, in anatomical order, and their geometry.
import { ApiError } from '../api/client';

interface Element { vr: string; Value?: unknown[] }
export type Instance = Record<string, Element>;
export type Vec3 = [number, number, number];

export interface Frame {
  imageId: string; sop: string; frame: number; number: number; rows: number; columns: number; position: Vec3 | null; orientation: number[] | null; thickness: number | null; spacing: [number, number] | null; seconds: number | null;
}
export interface SeriesData { seriesUid: string; frames: Frame[]; instances: Map<string, Instance>; kv: string; modality: string; multiframe: boolean; normal: Vec3 | null }

const numbers = (i: Instance, tag: string): number[] => (i[tag]?.Value ?? []).map(Number).filter(Number.isFinite);
const first = (i: Instance, tag: string): number | null => numbers(i, tag)[0] ?? null;
const text = (i: Instance, tag: string): string => String(i[tag]?.Value?.[0] ?? '');
const nested = (i: Instance, tag: string): Instance[] => (i[tag]?.Value ?? []) as Instance[];

export function cross(a: readonly number[], b: readonly number[]): Vec3 {
  const [ax = 0, ay = 0, az = 0] = a;
  const [bx = 0, by = 0, bz = 0] = b;
  return [ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx];
}
export const dot = (a: readonly number[], b: readonly number[]): number => (a[0] ?? 0) * (b[0] ?? 0) + (a[1] ?? 0) * (b[1] ?? 0) + (a[2] ?? 0) * (b[2] ?? 0);

/** Frame groups of an enhanced object: per-frame values over shared ones. */
function groups(i: Instance, frame: number): Instance[] {
  const perFrame = nested(i, '52009230')[frame - 1];
  const shared = nested(i, '52009229')[0];
  return [perFrame, shared].filter((g): g is Instance => !!g);
}

function inGroup(i: Instance, frame: number, sequence: string, tag: string): number[] {
  for (const group of groups(i, frame)) {
    const item = nested(group, sequence)[0];
    const values = item ? numbers(item, tag) : [];
    if (values.length) return values;
  }
  return numbers(i, tag);
}

function frameOf(i: Instance, base: string, n: number): Frame {
  const sop = text(i, '00080018');
  const position = inGroup(i, n, '00209113', '00200032');
  const orientation = inGroup(i, n, '00209116', '00200037');
  const spacing = inGroup(i, n, '00289110', '00280030');
  const spacing2 = spacing.length === 2 ? spacing : numbers(i, '00181164');
  return {
    imageId: `wadors:${base}/instances/${sop}/frames/${n}`,
    sop, frame: n, number: first(i, '00200013') ?? 0, rows: first(i, '00280010') ?? 0, columns: first(i, '00280011') ?? 0,
    position: position.length === 3 ? (position as Vec3) : null,
    orientation: orientation.length === 6 ? orientation : null,
    thickness: inGroup(i, n, '00289110', '00180050')[0] ?? null,
    spacing: spacing2.length === 2 ? (spacing2 as [number, number]) : null,
    seconds: first(i, '00181063') !== null ? (first(i, '00181063') ?? 0) / 1000 : first(i, '00082144') ? 1 / (first(i, '00082144') ?? 1) : null,
  };
}

/** Images with pixels, sorted along the slice normal where all have a position, else by instance number. */
export function framesOf(instances: readonly Instance[], base: string): { frames: Frame[]; normal: Vec3 | null } {
  const frames: Frame[] = [];
  for (const i of instances) {
    if (!first(i, '00280010') || !text(i, '00080018')) continue;
    const count = Math.max(1, first(i, '00280008') ?? 1);
    for (let n = 1; n <= count; n++) frames.push(frameOf(i, base, n));
  }
  const lead = frames[0]?.orientation;
  const normal = lead ? cross(lead.slice(0, 3), lead.slice(3)) : null;
  const single = frames.every((f) => f.frame === 1);
  const positions = normal ? frames.map((f) => (f.position && f.orientation && Math.abs(dot(cross(f.orientation.slice(0, 3), f.orientation.slice(3)), normal)) > 0.99 ? dot(f.position, normal) : NaN)) : [];
  const geometric = single && positions.length > 1 && positions.every(Number.isFinite) && new Set(positions.map((p) => p.toFixed(3))).size === positions.length;
  const order = frames.map((frame, k) => ({ frame, at: geometric ? (positions[k] ?? 0) : frame.number, k }));
  // a stack of axial slices is read from head to feet: against +z
  const direction = geometric && normal && Math.abs(normal[2]) > 0.7 ? -Math.sign(normal[2]) : 1;
  order.sort((a, b) => direction * (a.at - b.at) || a.k - b.k);
  return { frames: order.map((o) => o.frame), normal };
}

const held = new Map<string, Promise<SeriesData>>();

/** Fetches the metadata of a series once. */
export function seriesData(studyUid: string, seriesUid: string): Promise<SeriesData> {
  const known = held.get(seriesUid);
  if (known) return known;
  const base = `${location.origin}/dicomweb/studies/${studyUid}/series/${seriesUid}`;
  const load = (async (): Promise<SeriesData> => {
    const response = await fetch(`${base}/metadata`, { headers: { Accept: 'application/dicom+json' }, credentials: 'same-origin' });
    if (!response.ok) throw new ApiError(response.status, `${response.status} ${response.statusText}`);
    const instances = (await response.json()) as Instance[];
    const { frames, normal } = framesOf(instances, base);
    const lead = instances[0] ?? {};
    const kvp = first(lead, '00180060');
    const mas = first(lead, '00181152');
    return {
      seriesUid, frames, normal, modality: text(lead, '00080060'), multiframe: frames.some((f) => f.frame > 1),
      instances: new Map(instances.map((i) => [text(i, '00080018'), i])),
      kv: [kvp ? `${Math.round(kvp)} kV` : '', mas ? `${Math.round(mas)} mAs` : ''].filter(Boolean).join(' '),
    };
  })();
  held.set(seriesUid, load);
  load.catch(() => held.delete(seriesUid));
  return load;
}

/** Where a stack opens: volumes in the middle, where the picture says most; few images at the first. */
export const startIndex = (count: number, multiframe: boolean): number => (count >= 12 && !multiframe ? Math.floor(count / 2) : 0);
