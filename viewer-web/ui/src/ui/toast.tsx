// One short message at the foot of the page: what happened. It never covers an image.
import { signal } from '@preact/signals';
import { Icon } from './base';

const SHOW_MS = 6_000;
const message = signal<{ text: string; bad: boolean } | null>(null);
let timer: ReturnType<typeof setTimeout> | undefined;

export function say(text: string, bad = false): void {
  message.value = { text, bad };
  clearTimeout(timer);
  timer = setTimeout(() => (message.value = null), SHOW_MS);
}

export function Toast() {
  const m = message.value;
  return <div aria-live="polite">{m && <div class={`note toast ${m.bad ? 'warn' : ''}`}><Icon name={m.bad ? 'alert' : 'check'} /><span>{m.text}</span></div>}</div>;
}
