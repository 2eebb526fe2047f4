// Study details fetched ahead (selected row, pointer on a row) so that opening shows at once.
import { get } from '../api/client';
import { url } from '../api/paths';
import type { Study } from '../api/types';

const KEEP_MS = 60_000;
const MAX_ENTRIES = 12;
const entries = new Map<string, { at: number; study: Promise<Study> }>();

export function prefetchStudy(uid: string): Promise<Study> {
  const held = entries.get(uid);
  if (held && Date.now() - held.at < KEEP_MS) return held.study;
  const study = get<Study>(url('study', { uid }));
  entries.set(uid, { at: Date.now(), study });
  study.then(prefetchPreview).catch(() => entries.delete(uid));
  while (entries.size > MAX_ENTRIES) {
    const oldest = entries.keys().next().value;
    if (oldest === undefined) break;
    entries.delete(oldest);
  }
  return study;
}

/** Forgets what was fetched ahead: after any change of claim or report. */
export const forgetStudy = (uid: string): void => void entries.delete(uid);

/** Address of the enlarged thumbnail shown before the first original image. */
export const previewAddress = (thumbnail: string): string => `${thumbnail}${thumbnail.includes('?') ? '&' : '?'}viewport=512,512&quality=75`;

function prefetchPreview(study: Study): void {
  const first = study.series_list.find((series) => series.kind === 'image' && series.thumbnail);
  if (first?.thumbnail) new Image().src = previewAddress(first.thumbnail);
}
