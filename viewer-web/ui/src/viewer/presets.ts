// Window presets: centre and width in the picture's own units (HU for CT).
import type { Key } from '../i18n';

export interface Preset { id: string; label: Key; center: number; width: number }
const CT: readonly Preset[] = [
  { id: 'lung', label: 'preset.lung', center: -600, width: 1500 },
  { id: 'mediastinum', label: 'preset.mediastinum', center: 40, width: 350 },
  { id: 'soft', label: 'preset.soft', center: 40, width: 400 },
  { id: 'bone', label: 'preset.bone', center: 450, width: 2000 },
  { id: 'brain', label: 'preset.brain', center: 40, width: 80 },
  { id: 'liver', label: 'preset.liver', center: 60, width: 150 },
];

/** Where the values have no fixed unit the presets scale the window that the image names. */
const RELATIVE: readonly { id: string; label: Key; width: number; shift: number }[] = [
  { id: 'given', label: 'preset.given', width: 1, shift: 0 },
  { id: 'narrow', label: 'preset.narrow', width: 0.6, shift: 0 },
  { id: 'wide', label: 'preset.wide', width: 1.6, shift: 0 },
  { id: 'dark', label: 'preset.dark', width: 1, shift: 0.25 },
  { id: 'bright', label: 'preset.bright', width: 1, shift: -0.25 },
];

export function presetsFor(modality: string, given: { center: number; width: number } | null): Preset[] {
  if (modality === 'CT') return [...CT];
  const base = given ?? { center: 128, width: 256 };
  return RELATIVE.map((r) => ({ id: r.id, label: r.label, center: base.center + r.shift * base.width, width: base.width * r.width }));
}
