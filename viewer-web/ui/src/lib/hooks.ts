// Loading data into a page, the ticking clock, key presses.
import { signal } from '@preact/signals';
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { ApiError } from '../api/client';

export interface Resource<T> { data: T | undefined; error: ApiError | null; loading: boolean; fetchedAt: number; reload: () => Promise<void>; set: (data: T) => void }

/** Loads when `key` changes (null loads nothing). Old data stays while the same key reloads. */
export function useResource<T>(key: string | null, load: (signal: AbortSignal) => Promise<T>): Resource<T> {
  const [state, setState] = useState<{ key: string | null; data?: T; error: ApiError | null; loading: boolean; fetchedAt: number }>({ key: null, error: null, loading: key !== null, fetchedAt: 0 });
  const loader = useRef(load);
  loader.current = load;
  const abort = useRef<AbortController | null>(null);

  const run = useCallback(async () => {
    if (key === null) return;
    abort.current?.abort();
    const controller = new AbortController();
    abort.current = controller;
    setState((s) => ({ ...s, key, data: s.key === key ? s.data : undefined, loading: true, error: null }));
    try {
      const data = await loader.current(controller.signal);
      if (!controller.signal.aborted) setState({ key, data, error: null, loading: false, fetchedAt: Date.now() });
    } catch (cause) {
      if (controller.signal.aborted) return;
      const error = cause instanceof ApiError ? cause : new ApiError(-1, String(cause));
      setState((s) => ({ ...s, error, loading: false }));
    }
  }, [key]);

  useEffect(() => {
    void run();
    return () => abort.current?.abort();
  }, [run]);

  const set = useCallback((data: T) => setState((s) => ({ ...s, data, fetchedAt: Date.now() })), []);
  const fresh = state.key === key;
  return { data: fresh ? state.data : undefined, error: fresh ? state.error : null, loading: key !== null && (!fresh || state.loading), fetchedAt: state.fetchedAt, reload: run, set };
}

const TICK_MS = 10_000;
/** This moment, renewed every ten seconds: enough for clocks that show minutes. */
export const now = signal(Date.now());
if (typeof window !== 'undefined') setInterval(() => (now.value = Date.now()), TICK_MS);

/** True while keys belong to a text field or an input method. */
export function isTyping(event: KeyboardEvent): boolean {
  if (event.isComposing || event.key === 'Process') return true;
  const target = event.target as HTMLElement | null;
  return !!target?.closest?.('input, textarea, select, [contenteditable="true"], dialog[open]');
}

/** Page keys by `event.key`; dead while typing. A handler that returns false leaves the key alone. */
export function useKeys(keys: Record<string, (event: KeyboardEvent) => void | boolean>): void {
  const current = useRef(keys);
  current.current = keys;
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (isTyping(event) || event.ctrlKey || event.metaKey || event.altKey) return;
      const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
      const handler = current.current[key];
      if (handler && handler(event) !== false) event.preventDefault();
    };
    addEventListener('keydown', press);
    return () => removeEventListener('keydown', press);
  }, []);
}

export function useTitle(title: string): void {
  useEffect(() => {
    document.title = title;
  }, [title]);
}

/** Whether a media query holds, renewed when it changes. */
export function useMedia(query: string): boolean {
  const [holds, setHolds] = useState(() => matchMedia(query).matches);
  useEffect(() => {
    const list = matchMedia(query);
    const change = () => setHolds(list.matches);
    change();
    list.addEventListener('change', change);
    return () => list.removeEventListener('change', change);
  }, [query]);
  return holds;
}
