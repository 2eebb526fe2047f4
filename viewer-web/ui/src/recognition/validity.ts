// How long a recognition mark still holds, in words. Pure but for the language.
import type { TimelineItem } from '../api/types';
import { t } from '../i18n';

const DAY_MS = 86_400_000;

export function daysLeft(until: string | null | undefined, now = Date.now()): number | null {
  if (!until) return null;
  const end = Date.parse(until);
  return Number.isNaN(end) ? null : Math.ceil((end - now) / DAY_MS);
}

/** How far a mark reaches. */
export const scopeText = (scope: string | null | undefined): string => (scope === 'city' || scope === 'province' || scope === 'nation' ? t(`hr.${scope}`) : t('hr.county'));

/** "全县 剩 90 天"; empty when there is no mark or it has run out. */
export function validity(item: Pick<TimelineItem, 'hr_mark'>, now = Date.now()): string {
  const mark = item.hr_mark;
  if (!mark) return '';
  const left = daysLeft(mark.valid_until, now);
  const scope = scopeText(mark.scope);
  if (left === null) return scope;
  return left < 0 ? '' : t('timeline.daysLeft', { scope, n: left });
}
