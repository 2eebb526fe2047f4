import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { paths, url } from '../src/api/paths';

const sources = (folder: string): string[] => readdirSync(folder, { withFileTypes: true }).flatMap((e) => (e.isDirectory() ? sources(join(folder, e.name)) : /\.tsx?$/.test(e.name) ? [join(folder, e.name)] : []));

describe('list of paths', () => {
  it('is the only place that names an API address', () => {
    for (const file of sources('src')) {
      if (file.endsWith('api/paths.ts')) continue;
      expect(/['"`]\/api\//.test(readFileSync(file, 'utf8')), file).toBe(false);
    }
  });
  it('has no entry twice and all under /api', () => {
    const all = Object.values(paths);
    expect(new Set(all).size).toBe(all.length);
    for (const path of all) expect(path.startsWith('/api/')).toBe(true);
  });
  it('has no entry that nobody uses', () => {
    const text = sources('src').filter((f) => !f.endsWith('api/paths.ts')).map((f) => readFileSync(f, 'utf8')).join('\n');
    for (const name of Object.keys(paths)) expect(text.includes(`'${name}'`), name).toBe(true);
  });
  it.each([
    [() => url('study', { uid: '1.2.3' }), '/api/studies/1.2.3'],
    [() => url('reportVersion', { uid: '1.2', version: 2 }), '/api/studies/1.2/report/versions/2'],
    [() => url('verify', { code: 'a/b' }), '/api/verify/a%2Fb'],
    [() => url('worklist', {}, { q: '张', tab: 'mine', from: '', limit: 5, to: undefined }), '/api/worklist?q=%E5%BC%A0&tab=mine&limit=5'],
  ])('fills addresses %#', (make, expected) => expect(make()).toBe(expected));
  it('refuses a missing part', () => expect(() => url('study')).toThrow('uid'));
});
