// Images that this browser cannot decode: the centre's rendered picture in their place, marked as lossy.
import { imageLoader, utilities, type Types } from '@cornerstonejs/core';
import { wadors } from '@cornerstonejs/dicom-image-loader';
import type { Frame, Instance, SeriesData } from '../metadata';

const SCHEME = 'rendered';

export const renderedId = (frame: Frame): string => `${SCHEME}:${frame.imageId.replace(/^wadors:/, '')}/rendered`;
export const isRendered = (imageId: string): boolean => imageId.startsWith(`${SCHEME}:`);

/** The picture is plain 8-bit colour whatever the object holds. */
function asPicture(instance: Instance): Instance {
  const value = (vr: string, v: unknown) => ({ vr, Value: [v] });
  const { '00281050': _center, '00281051': _width, '00283010': _lut, '00283000': _modality, ...rest } = instance;
  return {
    ...rest, '00280004': value('CS', 'RGB'), '00280002': value('US', 3), '00280006': value('US', 0), '00280100': value('US', 8), '00280101': value('US', 8), '00280102': value('US', 7), '00280103': value('US', 0), '00281052': value('DS', 0), '00281053': value('DS', 1),
  };
}

/** Registers the pictures of a series and gives frames that point to them. */
export function asRendered(series: SeriesData): Frame[] {
  return series.frames.map((frame) => {
    const imageId = renderedId(frame);
    const instance = series.instances.get(frame.sop);
    if (instance) wadors.metaDataManager.add(imageId, asPicture(instance) as never);
    return { ...frame, imageId };
  });
}

async function load(imageId: string): Promise<Types.IImage> {
  const address = imageId.slice(SCHEME.length + 1);
  const response = await fetch(address, { headers: { Accept: 'image/jpeg, image/png' }, credentials: 'same-origin' });
  if (!response.ok) throw new Error(`${response.status} ${response.statusText}`);
  const bitmap = await createImageBitmap(await response.blob());
  const { width, height } = bitmap;
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext('2d', { willReadFrequently: true });
  if (!context) throw new Error('canvas');
  context.drawImage(bitmap, 0, 0);
  const rgba = context.getImageData(0, 0, width, height).data;
  const pixels = new Uint8Array(width * height * 3);
  for (let i = 0, k = 0; i < rgba.length; i += 4) {
    pixels[k++] = rgba[i] ?? 0;
    pixels[k++] = rgba[i + 1] ?? 0;
    pixels[k++] = rgba[i + 2] ?? 0;
  }
  const meta = wadors.metaDataManager.get(imageId) as unknown as Instance | undefined;
  const [rowSpacing = 1, columnSpacing = 1] = (meta?.['00280030']?.Value ?? []).map(Number);
  const voxelManager = utilities.VoxelManager.createImageVoxelManager({ width, height, scalarData: pixels, numberOfComponents: 3 });
  return {
    imageId, dataType: 'Uint8Array', color: true, rgba: false, numberOfComponents: 3, photometricInterpretation: 'RGB', columns: width, rows: height, width, height, columnPixelSpacing: columnSpacing, rowPixelSpacing: rowSpacing, intercept: 0, slope: 1, invert: false,
    minPixelValue: 0, maxPixelValue: 255, windowCenter: 128, windowWidth: 256, voiLUTFunction: 'LINEAR', sizeInBytes: pixels.byteLength, voxelManager, getPixelData: () => pixels, getCanvas: () => plainCanvas(rgba, width, height),
  } as unknown as Types.IImage;
}

/** What the CPU drawing path takes for colour images. */
function plainCanvas(rgba: Uint8ClampedArray<ArrayBuffer>, width: number, height: number): HTMLCanvasElement {
  const canvas = document.createElement('canvas');
  canvas.width = width;
  canvas.height = height;
  canvas.getContext('2d')?.putImageData(new ImageData(rgba, width, height), 0, 0);
  return canvas;
}

export function registerRendered(): void {
  imageLoader.registerImageLoader(SCHEME, ((imageId: string) => ({ promise: load(imageId), cancelFn: undefined })) as never);
}
