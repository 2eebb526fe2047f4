// Values of all frames of a stack, in rescaled units, for reformatting in this browser.
import { imageLoader, type Types } from '@cornerstonejs/core';
import type { Frame } from '../metadata';

const AT_ONCE = 4;

/** Loads frames (from the cache where they are) into one block; `onProgress` counts them. */
export async function voxels(frames: readonly Frame[], perFrame: number, onProgress: (done: number) => void): Promise<Float32Array> {
  const values = new Float32Array(frames.length * perFrame);
  let done = 0;
  const queue = frames.map((frame, k) => ({ frame, k }));
  const worker = async () => {
    for (let next = queue.shift(); next; next = queue.shift()) {
      const image = (await imageLoader.loadAndCacheImage(next.frame.imageId)) as Types.IImage;
      if (image.color || image.rows * image.columns !== perFrame) throw new Error('colour or size');
      const pixels = image.getPixelData();
      const scaled = !!image.preScale?.scaled;
      const slope = scaled ? 1 : image.slope || 1;
      const intercept = scaled ? 0 : image.intercept || 0;
      const offset = next.k * perFrame;
      for (let i = 0; i < perFrame; i++) values[offset + i] = (pixels[i] ?? 0) * slope + intercept;
      onProgress(++done);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return values;
}
