// Order, grouping, waiting and live merging of the reading worklist. Pure.
import type { Priority, WorklistItem } from '../api/types';

export const PRIORITIES: readonly Priority[] = ['STAT', 'URGENT', 'ROUTINE', 'SCREENING'];
/** Share of the goal from which a wait is amber. */
export const WARN_AT_SHARE = 0.7;
const GOAL_STEP_S = 10;

export const rank = (priority: string): number => {
  const at = PRIORITIES.indexOf(priority as Priority);
  return at < 0 ? PRIORITIES.length : at;
};

/** Class first, then the deadline; equal ones keep their order. */
export function ordered(items: readonly WorklistItem[]): WorklistItem[] {
  return [...items].sort((a, b) => rank(a.priority) - rank(b.priority) || a.due_at.localeCompare(b.due_at));
}

export interface Group { priority: Priority; items: WorklistItem[] }

export function grouped(items: readonly WorklistItem[]): Group[] {
  return PRIORITIES.map((priority) => ({ priority, items: items.filter((item) => item.priority === priority) })).filter((group) => group.items.length > 0);
}

export interface Wait { waited_s: number; goal_s: number; over_s: number; share: number; tone: '' | 'warn' | 'crit' }

/** Waiting time now, from the server's figures at `fetchedAt`: its clock counts, not this computer's. */
export function waiting(item: Pick<WorklistItem, 'waiting_s' | 'due_at'>, fetchedAt: number, now: number): Wait {
  const goal = item.waiting_s + (Date.parse(item.due_at) - fetchedAt) / 1000;
  const goal_s = Math.max(GOAL_STEP_S, Math.round(goal / GOAL_STEP_S) * GOAL_STEP_S); // the answer's travel time must not turn 60 min into 59
  const waited_s = Math.max(0, item.waiting_s + (now - fetchedAt) / 1000);
  const share = waited_s / goal_s;
  return { waited_s, goal_s, over_s: waited_s - goal_s, share, tone: share >= 1 ? 'crit' : share >= WARN_AT_SHARE ? 'warn' : '' };
}

export interface LiveMerge { items: WorklistItem[]; arrived: number; gone: Set<string> }

/** Rows on screen take new data in place; new rows wait, rows that left stay where they are, marked. */
export function mergeLive(shown: readonly WorklistItem[], fresh: readonly WorklistItem[]): LiveMerge {
  const byUid = new Map(fresh.map((item) => [item.study_uid, item]));
  const known = new Set(shown.map((item) => item.study_uid));
  return {
    items: shown.map((item) => byUid.get(item.study_uid) ?? item),
    arrived: fresh.filter((item) => !known.has(item.study_uid)).length,
    gone: new Set(shown.filter((item) => !byUid.has(item.study_uid)).map((item) => item.study_uid)),
  };
}

/** First study nobody holds: what "take next" opens. */
export const nextFree = (items: readonly WorklistItem[], after?: string): WorklistItem | undefined => {
  const free = items.filter((item) => item.study_uid !== after && item.status !== 'received' && (!item.claimed_by || item.claimed_by.mine));
  return free[0];
};
