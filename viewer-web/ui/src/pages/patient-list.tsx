// Years and their studies, newest first.
import type { TimelineItem } from '../api/types';
import { t, type Key } from '../i18n';
import { dictionary } from '../i18n/dictionary';
import { date, institution } from '../lib/format';
import { isFinal } from '../lib/study';
import { validity } from '../recognition/validity';
import { HrMark, Mod, Tag } from '../ui/base';
import { StatusTag } from '../ui/status';

export function Mark({ item }: { item: TimelineItem }) {
  const mine = item.recognition?.at(-1);
  const left = validity(item);
  if (mine) return <Tag tone="hr" icon={mine.decision === 'recognised' ? 'check' : 'x'}>{t(mine.decision === 'recognised' ? 'recognition.recognised' : 'recognition.refused')}</Tag>;
  if (item.recognisable && left) return <HrMark text={left} />;
  if (!isFinal(item.status)) return <StatusTag status={item.status} />;
  const key = `obstacle.${item.not_recognisable_reason ?? 'expired'}`;
  return <Tag>{key in dictionary ? t(key as Key) : (item.not_recognisable_text ?? t('timeline.expired'))}</Tag>;
}

/** Items by year, keeping their order. */
export function byYear(items: readonly TimelineItem[]): [string, TimelineItem[]][] {
  const years = new Map<string, TimelineItem[]>();
  for (const item of items) {
    const year = date(item.at).slice(0, 4);
    years.set(year, [...(years.get(year) ?? []), item]);
  }
  return [...years];
}

export function TimelineList({ items, selected, onSelect }: { items: readonly TimelineItem[]; selected: string | null; onSelect: (uid: string) => void }) {
  return (
    <>
      {byYear(items).map(([year, list]) => (
        <div key={year}>
          <h2 class="yr">{year}<span class="faint">{t('timeline.times', { n: list.length })}</span></h2>
          {list.map((item) => (
            <button type="button" key={item.study_uid} class="it" data-testid="timeline-item" data-study-uid={item.study_uid} aria-current={item.study_uid === selected ? 'true' : undefined} onClick={() => onSelect(item.study_uid)}>
              <span class="d">{date(item.at).slice(5)}</span>
              <span class="ax" />
              <span class="bx">
                <span class="l1"><Mod>{item.modality}</Mod><b class="ell">{item.item_name}</b><span class="muted ell">{institution(item.institution)}</span><span class="end"><Mark item={item} /></span></span>
                <span class="l2 ell"><span class="og">{institution(item.institution)} </span>{item.impression || <span class="faint">{t('timeline.noReport')}</span>}</span>
              </span>
            </button>
          ))}
        </div>
      ))}
    </>
  );
}
