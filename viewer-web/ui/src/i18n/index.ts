// Chinese first, English by a switch. Each entry of a dictionary holds both languages side by side.
import { effect, signal } from '@preact/signals';
import { dictionary } from './dictionary';

export type Language = 'zh' | 'en';
export type Key = keyof typeof dictionary;

const STORE = 'gongying.language';
const stored = typeof localStorage === 'undefined' ? null : localStorage.getItem(STORE);
export const language = signal<Language>(stored === 'en' ? 'en' : 'zh');

if (typeof document !== 'undefined') {
  effect(() => {
    document.documentElement.lang = language.value === 'zh' ? 'zh-CN' : 'en';
    localStorage.setItem(STORE, language.value);
  });
}

export const switchLanguage = () => {
  language.value = language.value === 'zh' ? 'en' : 'zh';
};

/** The text of `key` in the language in use, `{name}` parts filled. */
export function t(key: Key, values: Record<string, string | number> = {}): string {
  const text: string = dictionary[key][language.value === 'zh' ? 0 : 1];
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}

/** Chooses between two texts that came from the server. */
export const pick = (zh: string | null | undefined, en: string | null | undefined): string =>
  (language.value === 'zh' ? zh || en : en || zh) ?? '';
