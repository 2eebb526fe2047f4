// Reformatting in this browser: axial stacks of equal spacing only, other ones are for the centre. Pure.
import { cross, dot, type Frame } from './metadata';
import type { Plane, Volume } from './mpr-geometry';

/** Values as one block, x fastest, then y, then z from feet to head. */
export interface LocalVolume extends Volume { values: Float32Array }

const AXIAL_COSINE = 0.999;
const SPACING_TOLERANCE = 0.1;
const MAX_VOXELS = 160_000_000;

export type Unfit = 'geometry' | 'orientation' | 'spacing' | 'size';

/** Frames from feet to head and the distance between them, or why they make no volume. */
export function stackFor(frames: readonly Frame[]): { frames: Frame[]; spacing_mm: [number, number, number]; dimensions: [number, number, number] } | Unfit {
  const first = frames[0];
  if (!first?.orientation || !first.spacing || frames.some((f) => !f.position || f.rows !== first.rows || f.columns !== first.columns)) return 'geometry';
  const row = first.orientation.slice(0, 3);
  const column = first.orientation.slice(3);
  if ((row[0] ?? 0) < AXIAL_COSINE || (column[1] ?? 0) < AXIAL_COSINE || frames.some((f) => f.orientation?.some((v, k) => Math.abs(v - (first.orientation?.[k] ?? 0)) > 1e-3))) return 'orientation';
  const normal = cross(row, column);
  const sorted = [...frames].sort((a, b) => dot(a.position ?? [], normal) - dot(b.position ?? [], normal));
  const depths = sorted.map((f) => dot(f.position ?? [], normal));
  const steps = depths.slice(1).map((d, k) => d - (depths[k] ?? 0));
  const step = [...steps].sort((a, b) => a - b)[Math.floor(steps.length / 2)] ?? 0;
  if (step <= 0 || steps.some((s) => Math.abs(s - step) > step * SPACING_TOLERANCE)) return 'spacing';
  if (sorted.length * first.rows * first.columns > MAX_VOXELS) return 'size';
  return { frames: sorted, spacing_mm: [step, first.spacing[0], first.spacing[1]], dimensions: [sorted.length, first.rows, first.columns] };
}

/** Grey picture of one plane in its native grid; heads up. */
export function slicePicture(volume: LocalVolume, plane: Plane, index: number, center: number, width: number): { data: Uint8ClampedArray<ArrayBuffer>; columns: number; rows: number } {
  const [nz, ny, nx] = volume.dimensions;
  const columns = plane === 'sagittal' ? ny : nx;
  const rows = plane === 'axial' ? ny : nz;
  const data = new Uint8ClampedArray(columns * rows * 4);
  const low = center - width / 2;
  const scale = 255 / Math.max(1, width);
  for (let r = 0, k = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) {
      const z = plane === 'axial' ? index : nz - 1 - r;
      const y = plane === 'axial' ? r : plane === 'coronal' ? index : c;
      const x = plane === 'sagittal' ? index : c;
      const grey = ((volume.values[(z * ny + y) * nx + x] ?? 0) - low) * scale;
      data[k++] = grey;
      data[k++] = grey;
      data[k++] = grey;
      data[k++] = 255;
    }
  }
  return { data, columns, rows };
}
