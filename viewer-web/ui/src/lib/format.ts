// How times, ages, waits and names are written. Pure functions; language comes from i18n.
import { pick, t } from '../i18n';
import type { Institution, Person } from '../api/types';

const MINUTE_S = 60;
const HOUR_MIN = 60;
const DAY_H = 24;
/** Waits are written in minutes up to this, so that they compare with the goal at a glance. */
const MINUTES_UP_TO_MIN = 180;

const two = (n: number) => String(n).padStart(2, '0');

/** "26 min", "3 h 20 min", "2 天 4 h"; never negative. */
export function duration(seconds: number): string {
  const s = Math.max(0, Math.floor(seconds));
  const minutes = Math.floor(s / MINUTE_S);
  if (minutes < MINUTES_UP_TO_MIN) return t('wait.minutes', { n: minutes });
  const hours = Math.floor(minutes / HOUR_MIN);
  if (hours < 2 * DAY_H) return minutes % HOUR_MIN ? t('wait.hours', { h: hours, m: minutes % HOUR_MIN }) : t('wait.hoursOnly', { h: hours });
  return hours % DAY_H ? t('wait.days', { d: Math.floor(hours / DAY_H), h: hours % DAY_H }) : t('wait.daysOnly', { d: Math.floor(hours / DAY_H) });
}

/** Local date "2026-11-21". */
export function date(iso: string | null | undefined): string {
  const d = parse(iso);
  return d ? `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())}` : '';
}

/** Local date and time to the minute. */
export const dateTime = (iso: string | null | undefined): string => (parse(iso) ? `${date(iso)} ${time(iso)}` : '');

/** Local "10:09". */
export function time(iso: string | null | undefined): string {
  const d = parse(iso);
  return d ? `${two(d.getHours())}:${two(d.getMinutes())}` : '';
}

/** Local "10:09:32", for logs. */
export function timeSeconds(iso: string | null | undefined): string {
  const d = parse(iso);
  return d ? `${time(iso)}:${two(d.getSeconds())}` : '';
}

/** Time alone for today, else month and day before it. */
export function shortTime(iso: string | null | undefined, now = Date.now()): string {
  const d = parse(iso);
  if (!d) return '';
  const today = new Date(now).toDateString() === d.toDateString();
  return today ? time(iso) : `${two(d.getMonth() + 1)}-${two(d.getDate())} ${time(iso)}`;
}

function parse(iso: string | null | undefined): Date | null {
  if (!iso) return null;
  const d = new Date(iso);
  return Number.isNaN(d.getTime()) ? null : d;
}

/** DICOM Age String (PS3.5, AS: 067Y, 003M, 002W, 010D) or a birth date to words. */
export function age(text: string | null | undefined, birth?: string | null, now = Date.now()): string {
  const m = /^0*(\d+)([YMWD])$/.exec(text ?? '');
  if (m) {
    const n = Number(m[1]);
    if (m[2] === 'Y') return t('age.years', { n });
    if (m[2] === 'M') return t('age.months', { n });
    return t('age.days', { n: m[2] === 'W' ? n * 7 : n });
  }
  if (text) return text;
  const b = parse(birth);
  if (!b) return '';
  const then = new Date(now);
  let years = then.getFullYear() - b.getFullYear();
  if (then.getMonth() < b.getMonth() || (then.getMonth() === b.getMonth() && then.getDate() < b.getDate())) years -= 1;
  return years > 0 ? t('age.years', { n: years }) : t('age.months', { n: Math.max(0, monthsBetween(b, then)) });
}

const monthsBetween = (a: Date, b: Date) => (b.getFullYear() - a.getFullYear()) * 12 + b.getMonth() - a.getMonth() - (b.getDate() < a.getDate() ? 1 : 0);

export const sex = (code: string | null | undefined): string => (code === 'M' || code === 'F' ? t(`sex.${code}`) : code ? t('sex.O') : '');

export const institution = (i: Institution | string | null | undefined): string => (i == null ? '' : typeof i === 'string' ? i : pick(i.name, i.name_en) || i.code);

export const person = (p: Person | string | null | undefined): string => (p == null ? '' : typeof p === 'string' ? p : p.display_name || p.user);

/** "0.69" to "69.0 %". */
export const percent = (share: number | null | undefined): string => (share == null || !Number.isFinite(share) ? '–' : `${(share * 100).toFixed(1)}%`);

/** Evidence is free text, a list or name-value pairs; shown as one line. */
export function evidenceText(evidence: unknown): string {
  if (evidence == null) return '';
  if (typeof evidence === 'string' || typeof evidence === 'number') return String(evidence);
  if (Array.isArray(evidence)) return evidence.map(evidenceText).filter(Boolean).join(pick('，', ', '));
  return Object.entries(evidence as Record<string, unknown>)
    .map(([key, value]) => `${key} ${evidenceText(value)}`)
    .join(pick('，', ', '));
}
