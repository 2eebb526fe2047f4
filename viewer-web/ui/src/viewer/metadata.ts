// Series metadata from DICOMweb (PS3.18): which images there are, in anatomical order, and their geometry.
import { ApiError } from '../api/client';

interface Element { vr: string; Value?: unknown[]; InlineBinary?: string; BulkDataURI?: string }
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

const PALETTE_TAGS = ['00281201', '00281202', '00281203'];
const UNCOMPRESSED = ['1.2.840.10008.1.2', '1.2.840.10008.1.2.1', '1.2.840.10008.1.2.2', '1.2.840.10008.1.2.1.99'];
const VIDEO_PREFIX = '1.2.840.10008.1.2.4.10';

/** Fills in what the drawing library wants to find: a modality, and palettes as numbers. */
async function complete(i: Instance, base: string): Promise<void> {
  if (!text(i, '00080060')) i['00080060'] = { vr: 'CS', Value: ['OT'] };
  if (text(i, '00280004') !== 'PALETTE COLOR') return;
  for (const tag of PALETTE_TAGS) {
    const element = i[tag];
    if (!element || element.Value) continue;
    const bytes = element.InlineBinary ? Uint8Array.from(atob(element.InlineBinary), (c) => c.charCodeAt(0)) : element.BulkDataURI ? await bulk(element.BulkDataURI, base) : null;
    const bits = numbers(i, tag.replace('002812', '002811'))[2] ?? 16;
    if (bytes) element.Value = paletteValues(bytes, numbers(i, tag.replace('002812', '002811'))[0] ?? 0, bits);
  }
}

/** Palette entries from their bytes: 16-bit words, or bytes where the data is half as long (PS3.3 C.7.6.3.1.6). */
export function paletteValues(bytes: Uint8Array, entries: number, bits: number): number[] {
  const count = entries || 65536;
  if (bits === 8 && bytes.length < count * 2) return [...bytes.subarray(0, count)];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: Math.min(count, bytes.length >> 1) }, (_, k) => view.getUint16(k * 2, true));
}

async function bulk(uri: string, base: string): Promise<Uint8Array | null> {
  const address = new URL(uri, `${base}/`);
  if (address.origin !== location.origin) return null;
  const response = await fetch(address, { headers: { Accept: 'application/octet-stream' }, credentials: 'same-origin' });
  return response.ok ? new Uint8Array(await response.arrayBuffer()) : null;
}

const LOSSY_SYNTAXES = ['1.2.840.10008.1.2.4.50', '1.2.840.10008.1.2.4.51', '1.2.840.10008.1.2.4.53', '1.2.840.10008.1.2.4.55', '1.2.840.10008.1.2.4.81'];

/** Whether the stored original itself has lost something before it came here (PS3.3 C.7.6.1.1.5). */
export const lossyAtSource = (i: Instance): boolean => text(i, '00282110') === '01' || LOSSY_SYNTAXES.includes(text(i, '00083002'));

/** Whether this browser cannot show the stored form and the centre's rendered picture must do. */
export function needsRendering(i: Instance): boolean {
  const syntax = text(i, '00083002');
  const colour = text(i, '00280004');
  if (syntax.startsWith(VIDEO_PREFIX)) return true;
  return colour.startsWith('YBR_PARTIAL') || (colour === 'YBR_FULL_422' && (syntax === '' || UNCOMPRESSED.includes(syntax)));
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
    for (const instance of instances) await complete(instance, base);
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
