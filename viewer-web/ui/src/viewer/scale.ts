// Length of the scale bar: the longest round length that takes no more than this on the screen. Pure.
const LENGTHS_MM = [100, 50, 20, 10, 5, 2, 1];
const LONGEST_PX = 200;

export const scaleBarMm = (mm_per_px: number): number | null => (mm_per_px > 0 ? (LENGTHS_MM.find((mm) => mm / mm_per_px <= LONGEST_PX) ?? null) : null);
