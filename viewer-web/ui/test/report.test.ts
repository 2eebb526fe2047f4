import { describe, expect, it } from 'vitest';
import { ApiError } from '../src/api/client';
import type { Report } from '../src/api/types';
import { ReportStore, type Transport } from '../src/report/store';
import { append, blanks, checkReport, nextBlank, sides } from '../src/report/text';

describe('report text', () => {
  it('finds blanks and the next one', () => {
    const text = '【部位】见结节，大小【长径】mm';
    expect(blanks(text)).toEqual([{ start: 0, end: 4 }, { start: 10, end: 14 }]);
    expect(nextBlank(text, 4)).toEqual({ start: 10, end: 14 });
    expect(nextBlank(text, 15)).toEqual({ start: 0, end: 4 });
    expect(nextBlank('no blanks', 0)).toBeNull();
  });
  it('adds below what is there', () => {
    expect(append('', 'a')).toBe('a');
    expect(append('one \n', 'two')).toBe('one\ntwo');
  });
  it.each([['右肺结节', ['right']], ['双肺清晰', ['left', 'right']], ['Left lung', ['left']], ['肝脏', []]])('sides of %s', (text, found) => expect([...sides(text)].sort()).toEqual(found));
  it.each([['右肺结节', '右肺结节', true], ['右肺结节', '左肺结节', false], ['双肺清晰', '左肺无异常', true], ['肝脏', '左肺', true]])('%s / %s agree: %s', (f, i, ok) => expect(checkReport(f, i, 'a', 'b').sidesAgree).toBe(ok));
  it('author and signer are two persons', () => {
    expect(checkReport('', 'x', 'a', 'a').twoPersons).toBe(false);
    expect(checkReport('', '', undefined, 'a')).toMatchObject({ twoPersons: true, impressionGiven: false });
  });
});

/** A report kept in memory with the server's rule for If-Match. */
function memory(start: Partial<Report> = {}) {
  let version = 1;
  let report = { study_uid: '1', status: 'draft', findings: '', impression: '', editable_by_me: true, ...start } as Report;
  const log: string[] = [];
  let down = false;
  const transport: Transport = async (method, address, options) => {
    if (down) throw new ApiError(0, '');
    log.push(`${method} ${address.split('/').pop()}`);
    if (method === 'PUT') {
      if (options?.etag !== `"${version}"`) throw new ApiError(412, 'changed');
      report = { ...report, ...(options?.body as object) };
      version++;
    }
    if (method === 'POST') report = { ...report, status: 'submitted', editable_by_me: false };
    return { data: { ...report }, etag: `"${version}"` };
  };
  return { transport, log, theirs: (findings: string) => { report = { ...report, findings }; version++; }, set down(value: boolean) { down = value; }, get report() { return report; } };
}

describe('report store', () => {
  it('saves once per change and carries the ETag on', async () => {
    const server = memory();
    const store = new ReportStore('1', server.transport);
    await store.load();
    store.edit({ findings: 'a' });
    expect(await store.save()).toBe(true);
    expect(await store.save()).toBe(true);
    store.edit({ findings: 'ab' });
    expect(await store.save()).toBe(true);
    expect(server.log).toEqual(['GET report', 'PUT draft', 'PUT draft']);
    expect(server.report.findings).toBe('ab');
    expect(store.phase.value).toBe('saved');
  });
  it('keeps both texts in a conflict and lets the person choose', async () => {
    for (const choice of ['mine', 'theirs'] as const) {
      const server = memory();
      const store = new ReportStore('1', server.transport);
      await store.load();
      store.edit({ findings: 'mine' });
      server.theirs('theirs');
      expect(await store.save()).toBe(false);
      expect(store.phase.value).toBe('conflict');
      expect(store.theirs.value?.findings).toBe('theirs');
      expect(store.draft.value.findings).toBe('mine');
      await store.resolve(choice);
      expect(server.report.findings).toBe(choice);
      expect(store.draft.value.findings).toBe(choice);
    }
  });
  it('goes on writing while offline and saves when the link is back', async () => {
    const server = memory();
    const store = new ReportStore('1', server.transport);
    await store.load();
    server.down = true;
    store.edit({ impression: 'x' });
    expect(await store.save()).toBe(false);
    expect(store.phase.value).toBe('offline');
    server.down = false;
    expect(await store.save()).toBe(true);
    expect(server.report.impression).toBe('x');
    store.dispose();
  });
  it('saves before it submits and is closed afterwards', async () => {
    const server = memory();
    const store = new ReportStore('1', server.transport);
    await store.load();
    store.edit({ findings: 'f', impression: 'i' });
    await store.act('reportSubmit');
    expect(server.log).toEqual(['GET report', 'PUT draft', 'POST submit']);
    store.edit({ findings: 'late' });
    expect(store.draft.value.findings).toBe('f');
  });
  it('does not lose what is being written when the report loads again', async () => {
    const server = memory();
    const store = new ReportStore('1', server.transport);
    await store.load();
    store.edit({ findings: 'writing' });
    await store.load();
    expect(store.draft.value.findings).toBe('writing');
    store.dispose();
  });
});
