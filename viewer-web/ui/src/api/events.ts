// Server-sent events, one connection for the whole application.
import { url } from './paths';
import { online } from './client';

export type EventName = 'study_arrived' | 'study_ready' | 'claimed' | 'released' | 'report' | 'critical_value' | 'recognition' | 'order' | 'resync';
export interface LiveEvent { name: EventName; study_uid?: string; data: Record<string, unknown> }
type Listener = (event: LiveEvent) => void;

const NAMES: readonly EventName[] = ['study_arrived', 'study_ready', 'claimed', 'released', 'report', 'critical_value', 'recognition', 'order', 'resync'];
const LINGER_MS = 5_000;
const RETRY_MIN_MS = 2_000;
const RETRY_MAX_MS = 60_000;
const listeners = new Set<Listener>();
let source: EventSource | null = null;
let retryMs = RETRY_MIN_MS;
let timer: ReturnType<typeof setTimeout> | undefined;

function open(): void {
  if (source || listeners.size === 0) return;
  source = new EventSource(url('events'));
  source.onopen = () => {
    retryMs = RETRY_MIN_MS;
    online.value = true;
  };
  source.onerror = () => {
    if (source?.readyState !== EventSource.CLOSED) return; // the browser itself tries again
    source = null;
    clearTimeout(timer);
    timer = setTimeout(open, retryMs);
    retryMs = Math.min(RETRY_MAX_MS, retryMs * 2);
  };
  for (const name of NAMES) {
    source.addEventListener(name, (message) => {
      let data: Record<string, unknown> = {};
      try {
        data = JSON.parse((message as MessageEvent<string>).data) as Record<string, unknown>;
      } catch {
        // an event without a body still says that something changed
      }
      const event: LiveEvent = { name, study_uid: typeof data.study_uid === 'string' ? data.study_uid : undefined, data };
      for (const listener of [...listeners]) listener(event);
    });
  }
}

/** The connection outlives a change of page. */
function close(): void {
  if (listeners.size > 0) return;
  clearTimeout(timer);
  source?.close();
  source = null;
}

/** Calls `listener` for each event until the returned function is called. */
export function onLive(listener: Listener): () => void {
  listeners.add(listener);
  open();
  return () => {
    listeners.delete(listener);
    setTimeout(close, LINGER_MS);
  };
}
