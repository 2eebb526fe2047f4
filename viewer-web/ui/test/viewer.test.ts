import { describe, expect, it } from 'vitest';
import { isMeasurement, measurementText } from '../src/viewer/measurements';
import { framesOf, needsRendering, paletteValues, startIndex, type Instance } from '../src/viewer/metadata';
import { center, extent, fromPicture, scrolled, toPicture, type Volume, type Voxel } from '../src/viewer/mpr-geometry';
import { directionLetters, edgeLetters } from '../src/viewer/orientation';
import { slicePicture, stackFor } from '../src/viewer/local-volume';
import { depthOf, nearestFrame } from '../src/viewer/link';
import { scaleBarMm } from '../src/viewer/scale';
import { presetsFor } from '../src/viewer/presets';

const v = (...Value: unknown[]) => ({ vr: 'UN', Value });
const instance = (sop: string, number: number, z: number | null, more: Instance = {}): Instance => ({
  '00080018': v(sop), '00200013': v(number), '00280010': v(4), '00280011': v(4), ...(z === null ? {} : { '00200032': v(0, 0, z), '00200037': v(1, 0, 0, 0, 1, 0) }), ...more,
});

describe('image order', () => {
  it('goes from head to feet by position, not by number', () => {
    const { frames } = framesOf([instance('a', 1, -10), instance('b', 2, 30), instance('c', 3, 5)], '/s');
    expect(frames.map((f) => f.sop)).toEqual(['b', 'c', 'a']);
    expect(frames[0]!.imageId).toBe('wadors:/s/instances/b/frames/1');
  });
  it('falls back to instance numbers without geometry', () => expect(framesOf([instance('a', 7, null), instance('b', 2, null)], '/s').frames.map((f) => f.sop)).toEqual(['b', 'a']));
  it('falls back when two images lie at one place', () => expect(framesOf([instance('a', 2, 5), instance('b', 1, 5)], '/s').frames.map((f) => f.sop)).toEqual(['b', 'a']));
  it('lists all frames of a multi-frame object in order', () => expect(framesOf([instance('m', 1, null, { '00280008': v(3), '00181063': v(50) })], '/s').frames.map((f) => [f.frame, f.seconds])).toEqual([[1, 0.05], [2, 0.05], [3, 0.05]]));
  it('reads positions of enhanced objects from the frame groups', () => {
    const group = (z: number) => ({ '00209113': v({ '00200032': v(0, 0, z) }) });
    const { frames } = framesOf([instance('e', 1, null, { '00280008': v(2), '52009230': v(group(1), group(2)), '52009229': v({ '00209116': v({ '00200037': v(1, 0, 0, 0, 1, 0) }) }) })], '/s');
    expect(frames.map((f) => f.position)).toEqual([[0, 0, 1], [0, 0, 2]]);
  });
  it('leaves out objects without pixels', () => expect(framesOf([{ '00080018': v('sr') }], '/s').frames).toEqual([]));
  it.each([[1, false, 0], [60, false, 30], [60, true, 0], [5, false, 0]])('%i images, cine %s, open at %i', (n, cine, at) => expect(startIndex(n, cine)).toBe(at));
});

describe('reformatting here', () => {
  const axial = (sop: string, z: number, more: Instance = {}) => instance(sop, 1, z, { '00280030': v(2, 3), '00280010': v(2), '00280011': v(3), ...more });
  it('orders slices from feet to head and measures their distance', () => {
    const stack = stackFor(framesOf([axial('a', 10), axial('b', 0), axial('c', 5)], '/s').frames);
    expect(stack).toMatchObject({ dimensions: [3, 2, 3], spacing_mm: [5, 2, 3] });
    expect(typeof stack === 'string' ? [] : stack.frames.map((f) => f.sop)).toEqual(['b', 'c', 'a']);
  });
  it.each([
    [[axial('a', 0), axial('b', 5), axial('c', 20)], 'spacing'], [[axial('a', 0), instance('b', 2, null)], 'geometry'], [[axial('a', 0, { '00200037': v(0, 1, 0, 0, 0, -1) }), axial('b', 5, { '00200037': v(0, 1, 0, 0, 0, -1) })], 'orientation'],
  ])('refuses what is no plain volume %#', (instances, why) => expect(stackFor(framesOf(instances, '/s').frames)).toBe(why));
  it('cuts the same voxel out of each plane, heads up', () => {
    const volume = { dimensions: [2, 3, 4] as [number, number, number], spacing_mm: [1, 1, 1] as [number, number, number], values: Float32Array.from({ length: 24 }, (_, k) => k) };
    const at = (plane: 'axial' | 'coronal' | 'sagittal', index: number, c: number, r: number) => { const p = slicePicture(volume, plane, index, 127.5, 255); return p.data[(r * p.columns + c) * 4]; };
    const value = (1 * 3 + 2) * 4 + 3; // z 1, y 2, x 3
    expect([at('axial', 1, 3, 2), at('coronal', 2, 3, 0), at('sagittal', 3, 2, 0)]).toEqual([value, value, value]);
  });
});

describe('linked scrolling', () => {
  const { frames } = framesOf([instance('a', 1, -10), instance('b', 2, 30), instance('c', 3, 5)], '/s');
  it('finds the nearest slice along the same normal', () => {
    const from = depthOf(frames[0])!;
    expect(from.depth_mm).toBe(30);
    expect(nearestFrame(frames, from.normal, 4)).toBe(1);
    expect(nearestFrame(frames, from.normal, -99)).toBe(2);
  });
  it('leaves stacks of another orientation alone', () => expect(nearestFrame(frames, [1, 0, 0], 5)).toBeNull());
  it('says nothing without geometry', () => expect(depthOf(framesOf([instance('x', 1, null)], '/s').frames[0])).toBeNull());
});

describe('stored forms', () => {
  it('reads palettes stored as words and as bytes', () => {
    expect(paletteValues(new Uint8Array([1, 2, 3, 4]), 2, 16)).toEqual([0x201, 0x403]);
    expect(paletteValues(new Uint8Array([1, 2]), 2, 8)).toEqual([1, 2]);
    expect(paletteValues(new Uint8Array([1, 0, 2, 0]), 2, 8)).toEqual([1, 2]);
  });
  it.each([['YBR_FULL_422', '1.2.840.10008.1.2.1', true], ['YBR_FULL_422', '1.2.840.10008.1.2.4.50', false], ['MONOCHROME2', '1.2.840.10008.1.2.4.103', true], ['RGB', '1.2.840.10008.1.2.1', false], ['YBR_PARTIAL_420', '', true]])('%s in %s needs rendering: %s', (colour, syntax, needed) => expect(needsRendering({ '00280004': v(colour), '00083002': v(syntax) })).toBe(needed));
});

describe('orientation letters', () => {
  it.each([[[1, 0, 0], 'L'], [[0, -1, 0], 'A'], [[0, 0, 1], 'H'], [[-0.8, 0.6, 0], 'RP'], [[0.1, 0.1, -0.98], 'F']])('%j is %s', (d, letters) => expect(directionLetters(d)).toBe(letters));
  it.each([[[1, 0, 0, 0, 1, 0], 'ALPR'], [[0, 1, 0, 0, 0, -1], 'HPFA'], [[-1, 0, 0, 0, 1, 0], 'ARPL'], [[0, -1, 0, 1, 0, 0], 'RALP']])('right and down %j: %s', (directions, letters) => {
    const e = edgeLetters(directions)!;
    expect(e.top + e.right + e.bottom + e.left).toBe(letters);
  });
  it('says nothing without an orientation', () => expect(edgeLetters(null)).toBeNull());
});

describe('scale bar', () => {
  it.each([[0.5, 100], [0.3, 50], [0.04, 5], [0, null], [0.001, null]])('%f mm a pixel: %s mm', (mm, bar) => expect(scaleBarMm(mm)).toBe(bar));
});

describe('reformatted planes', () => {
  const volume: Volume = { dimensions: [60, 256, 200], spacing_mm: [4, 1.5, 1] };
  it('have true proportions', () => {
    expect(extent(volume, 'axial')).toEqual({ width_mm: 200, height_mm: 384 });
    expect(extent(volume, 'coronal')).toEqual({ width_mm: 200, height_mm: 240 });
    expect(extent(volume, 'sagittal')).toEqual({ width_mm: 384, height_mm: 240 });
  });
  it('show the head above', () => {
    expect(toPicture(volume, 'coronal', [59, 0, 0]).y).toBeLessThan(0.02);
    expect(toPicture(volume, 'axial', [0, 0, 0]).y).toBeLessThan(0.01);
  });
  it('find the voxel that they draw', () => {
    for (const plane of ['axial', 'coronal', 'sagittal'] as const) {
      const at: Voxel = [17, 120, 33];
      const p = toPicture(volume, plane, at);
      expect(fromPicture(volume, plane, p.x, p.y, at)).toEqual(at);
    }
  });
  it('stay inside', () => {
    expect(scrolled(volume, 'axial', center(volume), 999)).toEqual([59, 128, 100]);
    expect(fromPicture(volume, 'sagittal', 2, -1, [0, 0, 7])).toEqual([59, 255, 7]);
  });
});

describe('measurements', () => {
  it.each([
    ['Length', { length: 21.04, unit: 'mm' }, '21.0 mm'], ['Length', { length: 12, unit: 'px' }, '12.0 px'], ['Length', { length: NaN }, ''], ['Bidirectional', { length: 10, width: 12.34, unit: 'mm' }, '12.3 × 10.0 mm'], ['Angle', { angle: 33.333 }, '33.3°'],
    ['EllipticalROI', { mean: 38.2, stdDev: 5.5, area: 120.4, areaUnit: 'mm²', modalityUnit: 'HU' }, '38 HU  SD 6  120 mm²'], ['Probe', { value: -601, modalityUnit: 'HU' }, '-601 HU'], ['Length', undefined, ''],
  ])('%s %j', (tool, stats, text) => expect(measurementText(tool, stats)).toBe(text));
  it('accepts only sound records', () => {
    const good = { id: 'a', tool: 'Length', text: '1 mm', points: [[0, 0, 0], [1, 0, 0]] };
    expect(isMeasurement(good)).toBe(true);
    for (const bad of [null, {}, { ...good, points: [[0, 0]] }, { ...good, points: [[0, 0, 'x']] }, { ...good, id: 3 }]) expect(isMeasurement(bad)).toBe(false);
  });
  it('offers five windows for the number keys', () => {
    expect(presetsFor('CT', null).length).toBeGreaterThanOrEqual(5);
    expect(presetsFor('DX', { center: 2000, width: 1000 })).toHaveLength(5);
    expect(presetsFor('MR', { center: 500, width: 1000 })[0]).toMatchObject({ center: 500, width: 1000 });
  });
});
