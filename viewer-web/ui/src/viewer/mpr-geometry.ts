// Three orthogonal planes through one voxel: sizes, cross lines and clicks. Native grid; dimensions as z, y, x.

export type Plane = 'axial' | 'coronal' | 'sagittal';
export const PLANES: readonly Plane[] = ['axial', 'coronal', 'sagittal'];
export interface Volume { dimensions: [number, number, number]; spacing_mm: [number, number, number] }
/** Voxel index z, y, x. */
export type Voxel = [number, number, number];

/** Axis (0 z, 1 y, 2 x) along columns, rows and through each plane. */
const AXES: Record<Plane, { across: 0 | 1 | 2; down: 0 | 1 | 2; through: 0 | 1 | 2 }> = {
  axial: { across: 2, down: 1, through: 0 },
  coronal: { across: 2, down: 0, through: 1 },
  sagittal: { across: 1, down: 0, through: 2 },
};

export const throughAxis = (plane: Plane): 0 | 1 | 2 => AXES[plane].through;
export const sliceCount = (volume: Volume, plane: Plane): number => volume.dimensions[AXES[plane].through];
export const center = (volume: Volume): Voxel => volume.dimensions.map((n) => Math.floor(n / 2)) as Voxel;

/** Size of a plane's picture in mm. */
export function extent(volume: Volume, plane: Plane): { width_mm: number; height_mm: number } {
  const { across, down } = AXES[plane];
  return { width_mm: volume.dimensions[across] * volume.spacing_mm[across], height_mm: volume.dimensions[down] * volume.spacing_mm[down] };
}

/** Whether rows of the picture run against the axis: heads are up, so z counts from the bottom. */
const upsideDown = (plane: Plane) => AXES[plane].down === 0;

/** Where the voxel lies in the picture, as shares of its width and height. */
export function toPicture(volume: Volume, plane: Plane, at: Voxel): { x: number; y: number } {
  const { across, down } = AXES[plane];
  const y = (at[down] + 0.5) / volume.dimensions[down];
  return { x: (at[across] + 0.5) / volume.dimensions[across], y: upsideDown(plane) ? 1 - y : y };
}

/** The voxel under a point of the picture (shares); the slice through stays. */
export function fromPicture(volume: Volume, plane: Plane, x: number, y: number, at: Voxel): Voxel {
  const { across, down } = AXES[plane];
  const next: Voxel = [...at];
  const clamp = (value: number, axis: 0 | 1 | 2) => Math.max(0, Math.min(volume.dimensions[axis] - 1, Math.floor(value * volume.dimensions[axis])));
  next[across] = clamp(x, across);
  next[down] = clamp(upsideDown(plane) ? 1 - y : y, down);
  return next;
}

export function scrolled(volume: Volume, plane: Plane, at: Voxel, by: number): Voxel {
  const axis = throughAxis(plane);
  const next: Voxel = [...at];
  next[axis] = Math.max(0, Math.min(volume.dimensions[axis] - 1, at[axis] + by));
  return next;
}
