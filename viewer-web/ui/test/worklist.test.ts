import { describe, expect, it } from 'vitest';
import type { WorklistItem } from '../src/api/types';
import { grouped, mergeLive, nextFree, ordered, rank, waiting } from '../src/lib/worklist';
import { toQuery } from '../src/pages/worklist-filters';
import { neighbour, place } from '../src/lib/reading-list';

const item = (uid: string, priority: string, due: string, more: Partial<WorklistItem> = {}) => ({ study_uid: uid, priority, due_at: due, status: 'to_write', ...more }) as WorklistItem;
const T = (minutes: number) => new Date(Date.UTC(2026, 10, 21, 10, minutes)).toISOString();

describe('order', () => {
  it('is class first, then deadline', () => {
    const items = [item('r1', 'ROUTINE', T(1)), item('s2', 'STAT', T(9)), item('u1', 'URGENT', T(0)), item('s1', 'STAT', T(3)), item('x', 'SCREENING', T(0))];
    expect(ordered(items).map((i) => i.study_uid)).toEqual(['s1', 's2', 'u1', 'r1', 'x']);
    expect(grouped(ordered(items)).map((g) => [g.priority, g.items.length])).toEqual([['STAT', 2], ['URGENT', 1], ['ROUTINE', 1], ['SCREENING', 1]]);
  });
  it('puts unknown classes last', () => expect(rank('LATER')).toBeGreaterThan(rank('SCREENING')));
});

describe('waiting', () => {
  const at = Date.parse(T(30));
  it.each([[600, 40, 0, '', 1200], [1260, 39, 0, 'warn', 1800], [1900, 28, 0, 'crit', 1780], [600, 40, 12, 'crit', 1200]])('waited %i s, due at minute %i, %i min later: "%s"', (waiting_s, due, later, tone, goal) => {
    const w = waiting({ waiting_s, due_at: T(due) }, at, at + later * 60_000);
    expect(w.tone).toBe(tone);
    expect(w.goal_s).toBe(goal);
    expect(w.over_s >= 0).toBe(tone === 'crit');
  });
});

describe('live changes', () => {
  it('never move a row: data in place, new ones counted, gone ones marked', () => {
    const shown = [item('a', 'STAT', T(1)), item('b', 'STAT', T(2)), item('c', 'URGENT', T(3))];
    const fresh = [item('new', 'STAT', T(0)), item('a', 'STAT', T(1)), item('c', 'URGENT', T(3), { status: 'writing' })];
    const merged = mergeLive(shown, fresh);
    expect(merged.items.map((i) => i.study_uid)).toEqual(['a', 'b', 'c']);
    expect(merged.items[2]!.status).toBe('writing');
    expect(merged.arrived).toBe(1);
    expect([...merged.gone]).toEqual(['b']);
  });
  it('next free study skips held and arriving ones', () => {
    const holder = { user: 'x', display_name: 'x', since: '', until: '', mine: false };
    const list = [item('a', 'STAT', T(1), { claimed_by: holder }), item('b', 'STAT', T(2), { status: 'received' }), item('c', 'URGENT', T(3))];
    expect(nextFree(list)?.study_uid).toBe('c');
    expect(nextFree(list.slice(0, 2))).toBeUndefined();
  });
});

describe('filters and place', () => {
  it('leaves out what is not chosen', () => expect(toQuery({ q: ' ', modality: '', institution: 'HX', priority: '', arrived: '' })).toEqual({ institution: 'HX' }));
  it('counts days from midnight', () => {
    const from = new Date(toQuery({ q: '', modality: '', institution: '', priority: '', arrived: 'days3' }, new Date(2026, 10, 21, 15)).from!);
    expect([from.getDate(), from.getHours()]).toEqual([19, 0]);
  });
  it('knows the neighbours of a study', () => {
    expect(neighbour('b', 1, ['a', 'b', 'c'])).toBe('c');
    expect(neighbour('a', -1, ['a', 'b'])).toBeNull();
    expect(neighbour('z', 1, ['a'])).toBeNull();
    expect(place('b', ['a', 'b'])).toEqual({ at: 2, of: 2 });
  });
});
