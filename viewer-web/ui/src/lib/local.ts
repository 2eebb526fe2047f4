// What the page keeps in this browser. Nothing here outlives a sign-out except choices of appearance.
const WORK_PREFIX = 'gongying.work.';

/** Unsaved text of one report or measurements of one study, kept until the server has them. */
export function keep(key: string, value: unknown, store: Storage = sessionStorage): void {
  try {
    store.setItem(WORK_PREFIX + key, JSON.stringify(value));
  } catch {
    // a full or forbidden store only loses the convenience
  }
}

export function recall<T>(key: string, store: Storage = sessionStorage): T | null {
  try {
    const text = store.getItem(WORK_PREFIX + key);
    return text ? (JSON.parse(text) as T) : null;
  } catch {
    return null;
  }
}

export function drop(key: string, store: Storage = sessionStorage): void {
  store.removeItem(WORK_PREFIX + key);
}

export function forgetLocal(): void {
  for (const store of [sessionStorage, localStorage]) {
    for (const key of Object.keys(store)) if (key.startsWith(WORK_PREFIX)) store.removeItem(key);
  }
}
