import { describe, expect, it } from 'vitest';
import { dictionary } from '../src/i18n/dictionary';
import * as areas from '../src/i18n/all';

const entries = Object.entries(dictionary) as [string, readonly [string, string]][];
const slots = (text: string) => [...text.matchAll(/\{(\w+)\}/g)].map((m) => m[1]).sort();
/** Names and languages that are written in Chinese on an English page too. */
const HAN_IN_ENGLISH = new Set(['nav.languageShort', 'nav.language']);

describe('dictionaries', () => {
  it('have equal keys in both languages, none empty', () => {
    const zh = Object.fromEntries(entries.map(([key, [text]]) => [key, text]));
    const en = Object.fromEntries(entries.map(([key, pair]) => [key, pair[1]]));
    expect(Object.keys(zh)).toEqual(Object.keys(en));
    for (const [key, pair] of entries) {
      expect(pair, key).toHaveLength(2);
      expect(pair[0].trim(), key).not.toBe('');
      expect(pair[1].trim(), key).not.toBe('');
    }
  });
  it('fill the same places', () => {
    for (const [key, [zh, en]] of entries) expect(slots(zh), key).toEqual(slots(en));
  });
  it('use no key in two areas', () => {
    const keys = Object.values(areas).flatMap((area) => Object.keys(area));
    expect(new Set(keys).size).toBe(keys.length);
    expect(keys.length).toBe(entries.length);
  });
  it('keep Chinese out of English', () => {
    for (const [key, [, en]] of entries) if (!HAN_IN_ENGLISH.has(key)) expect(/[\u4e00-\u9fff]/.test(en), key).toBe(false);
  });
  it('are polite in the way of the style guide: no 请 on buttons, no exclamation marks', () => {
    for (const [key, [zh, en]] of entries) {
      expect(/[!！]/.test(zh + en), key).toBe(false);
      if (key.startsWith('act.')) expect(zh.includes('请'), key).toBe(false);
    }
  });
});
