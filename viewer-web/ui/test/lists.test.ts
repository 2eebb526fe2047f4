import { describe, expect, it } from 'vitest';
import type { CriticalValue } from '../src/api/types';
import { between, byUrgency, stepClock } from '../src/lib/critical';
import { checkNationalId } from '../src/orders/national-id';
import { byYear } from '../src/pages/patient-list';
import { figureText } from '../src/pages/statistics';
import { fromWire } from '../src/public/shared';
import { daysLeft, validity } from '../src/recognition/validity';

const NOW = Date.UTC(2026, 10, 21, 10, 0);
const at = (minutesAgo: number) => new Date(NOW - minutesAgo * 60_000).toISOString();
const value = (part: Partial<CriticalValue>) => ({ id: '1', study_uid: '1', item_code: 'x', text: 'x', state: 'raised', raised_at: at(0), ...part }) as CriticalValue;

describe('critical values', () => {
  it.each([
    [value({ raised_at: at(3) }), 420, ''], [value({ raised_at: at(8) }), 120, 'warn'], [value({ raised_at: at(12) }), -120, 'crit'],
    [value({ state: 'acknowledged', raised_at: at(40), acknowledged_at: at(10) }), 1200, ''], [value({ raised_at: at(8), due_at: at(-22) }), 1320, ''],
  ])('%#: seconds left %i, tone "%s"', (c, left, tone) => expect(stepClock(c, NOW)).toMatchObject({ left_s: left, tone }));
  it('have no clock once closed', () => expect(stepClock(value({ state: 'closed' }), NOW)).toBeNull());
  it('stand most urgent first', () => expect(byUrgency([value({ id: 'a', raised_at: at(1) }), value({ id: 'b', raised_at: at(9) })], NOW).map((c) => c.id)).toEqual(['b', 'a']));
  it('measure between steps', () => {
    expect(between(value({ raised_at: at(9), notified_at: at(7) }), 'raised', 'notified')).toBe(120);
    expect(between(value({}), 'raised', 'acted')).toBeNull();
  });
});

describe('national identity number', () => {
  it.each([
    ['11010519491231002X', { state: 'ok', birth_date: '1949-12-31', sex: 'F' }], ['440524188001010014', { state: 'ok', birth_date: '1880-01-01', sex: 'M' }], ['11010519491231002x', { state: 'ok', birth_date: '1949-12-31', sex: 'F' }],
    ['110105194912310021', { state: 'invalid' }], ['1101051949123', { state: 'short' }], ['', { state: 'empty' }], ['1101051949A231002X', { state: 'invalid' }],
  ])('%s', (id, expected) => expect(checkNationalId(id)).toEqual(expected));
  it('refuses a day that does not exist', () => expect(checkNationalId('110105194902300021').state).toBe('invalid'));
});

describe('recognition', () => {
  it('counts days left and stops at the end', () => {
    expect(daysLeft(new Date(NOW + 90 * 86_400_000).toISOString(), NOW)).toBe(90);
    expect(validity({ hr_mark: { scope: 'county', text: 'HR', valid_until: new Date(NOW + 7 * 86_400_000).toISOString() } }, NOW)).toBe('全县 剩 7 天');
    expect(validity({ hr_mark: { scope: 'county', text: 'HR', valid_until: new Date(NOW - 2 * 86_400_000).toISOString() } }, NOW)).toBe('');
    expect(validity({ hr_mark: null }, NOW)).toBe('');
  });
  it('groups a timeline by year', () => expect(byYear([{ at: '2026-03-01T00:00:00Z' }, { at: '2025-05-01T00:00:00Z' }, { at: '2025-04-01T00:00:00Z' }] as never).map(([y, l]) => [y, l.length])).toEqual([['2026', 1], ['2025', 2]]));
});

describe('figures', () => {
  it.each([['median_s', 1080, '18 min'], ['rate', 0.5, '50.0%'], ['positive_rate', 0.41, '41.0%'], ['signed', 12, '12'], ['x', null, '–'], ['user', 'rad.writer', 'rad.writer']])('%s %s is %s', (name, v, text) => expect(figureText(name, v)).toBe(text));
});

describe('shared report', () => {
  it('takes pictures of this origin only', () => {
    const shared = fromWire({ patient: { name: '测试患者' }, report: { findings: 'f', impression: 'i', signer: { user: 'r', display_name: '李审核' } }, images: ['/a', { url: '/b' }, 'https://evil.example/c', '//evil.example/d', 7] });
    expect(shared).toMatchObject({ name: '测试患者', findings: 'f', impression: 'i', signer: '李审核', images: ['/a', '/b'] });
  });
  it('survives an answer of another shape', () => expect(fromWire(null)).toMatchObject({ name: '', images: [] }));
});
