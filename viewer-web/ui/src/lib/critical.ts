// Steps of a critical value and their time limits. Pure.
import type { CriticalState, CriticalValue } from '../api/types';

export const STATES: readonly CriticalState[] = ['raised', 'notified', 'acknowledged', 'acted', 'closed'];
/** Limit of the step that follows each state, in minutes. */
export const LIMIT_MIN: Record<Exclude<CriticalState, 'closed'>, number> = { raised: 10, notified: 10, acknowledged: 30, acted: 360 };

export const atOf = (c: CriticalValue, state: CriticalState): string | null | undefined => c[`${state}_at`];

export interface StepClock { elapsed_s: number; left_s: number; share: number; tone: '' | 'warn' | 'crit' }

/** Time since the last step and what is left of the next one; the server's own deadline wins. */
export function stepClock(c: CriticalValue, now: number): StepClock | null {
  if (c.state === 'closed') return null;
  const since = Date.parse(atOf(c, c.state) ?? c.raised_at);
  const due = c.due_at ? Date.parse(c.due_at) : since + LIMIT_MIN[c.state] * 60_000;
  const whole = Math.max(1, due - since);
  const share = (now - since) / whole;
  return { elapsed_s: (now - since) / 1000, left_s: (due - now) / 1000, share, tone: share >= 1 ? 'crit' : share >= 0.7 ? 'warn' : '' };
}

/** Open ones, most urgent first. */
export const byUrgency = (items: readonly CriticalValue[], now: number): CriticalValue[] => [...items].sort((a, b) => (stepClock(a, now)?.left_s ?? Infinity) - (stepClock(b, now)?.left_s ?? Infinity));

/** Seconds from the first state to the second, when both happened. */
export function between(c: CriticalValue, from: CriticalState, to: CriticalState): number | null {
  const a = atOf(c, from);
  const b = atOf(c, to);
  return a && b ? (Date.parse(b) - Date.parse(a)) / 1000 : null;
}
