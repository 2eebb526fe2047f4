// The order in which studies were listed when one was opened: previous, next, place.
import { signal } from '@preact/signals';

export const readingList = signal<readonly string[]>([]);

export function neighbour(uid: string, step: 1 | -1, list: readonly string[] = readingList.value): string | null {
  const at = list.indexOf(uid);
  return at < 0 ? null : (list[at + step] ?? null);
}

export function place(uid: string, list: readonly string[] = readingList.value): { at: number; of: number } | null {
  const at = list.indexOf(uid);
  return at < 0 ? null : { at: at + 1, of: list.length };
}
