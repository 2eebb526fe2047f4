import { afterEach, describe, expect, it } from 'vitest';
import { language } from '../src/i18n';
import { age, duration, evidenceText, percent, sex, shortTime } from '../src/lib/format';
import { match } from '../src/lib/router';
import { routes } from '../src/routes';
import { safeNext } from '../src/pages/login';

afterEach(() => (language.value = 'zh'));

describe('formatters', () => {
  it.each([[0, '0 min'], [59, '0 min'], [1560, '26 min'], [10740, '179 min'], [12000, '3 h 20 min'], [86400, '24 h'], [200000, '2 天 7 h'], [172800, '2 天'], [-5, '0 min']])('%i s is %s', (s, text) => expect(duration(s)).toBe(text));
  it.each([['067Y', '67 岁', '67 y'], ['003M', '3 个月', '3 mo'], ['002W', '14 天', '14 d'], ['010D', '10 天', '10 d'], ['67 岁', '67 岁', '67 岁'], ['', '', '']])('age %s', (text, zh, en) => {
    expect(age(text)).toBe(zh);
    language.value = 'en';
    expect(age(text)).toBe(en);
  });
  it('age from a birth date counts whole years and months', () => {
    const now = new Date(2026, 10, 21).getTime();
    expect(age(null, '1959-04-18', now)).toBe('67 岁');
    expect(age(null, '1959-12-18', now)).toBe('66 岁');
    expect(age(null, '2026-08-30', now)).toBe('2 个月');
  });
  it('time alone for today, date before it on other days', () => {
    const at = new Date(2026, 10, 21, 10, 9);
    expect(shortTime(at.toISOString(), at.getTime())).toBe('10:09');
    expect(shortTime(at.toISOString(), at.getTime() + 2 * 86_400_000)).toBe('11-21 10:09');
    expect(shortTime('rubbish')).toBe('');
  });
  it('sex, percent, evidence', () => {
    expect([sex('M'), sex('O'), sex(null)]).toEqual(['男', '性别不详', '']);
    expect([percent(0.6889), percent(null)]).toEqual(['68.9%', '–']);
    expect(evidenceText({ II: 0.24, leads: ['III', 'aVF'] })).toBe('II 0.24，leads III，aVF');
  });
});

describe('addresses', () => {
  it.each([['/study/1.2.840.10008', 'study', { uid: '1.2.840.10008' }], ['/patients', 'patients', {}], ['/patients/a%20b', 'patient', { id: 'a b' }], ['/share/tok', 'share', { token: 'tok' }], ['/worklist/', 'worklist', {}]])('%s', (path, name, params) => expect(match(routes, path)).toEqual({ name, params }));
  it.each(['/nowhere', '/study', '/study/1/2', '/api/session'])('%s is no page', (path) => expect(match(routes, path)).toBeNull());
  it.each([['/login?next=%2Fstudy%2F1.2', '/study/1.2'], ['/login?next=//evil.example', null], ['/login?next=https://evil.example', null], ['/login?next=/login', null], ['/login', null]])('after login %s goes to %s', (from, to) => expect(safeNext(from)).toBe(to));
});
