// Reading worklist: tabs, filters, rows by class, preview, live changes that never move a row.
import { useEffect, useRef, useState } from 'preact/hooks';
import { claim, holderOf } from '../api/actions';
import { url } from '../api/paths';
import type { Tab, WorklistItem } from '../api/types';
import { t } from '../i18n';
import { time } from '../lib/format';
import { now, useKeys } from '../lib/hooks';
import { readingList } from '../lib/reading-list';
import { navigate } from '../lib/router';
import { prefetchStudy } from '../lib/study-cache';
import { nextFree, waiting } from '../lib/worklist';
import { hasRole, may } from '../session';
import { Empty, Icon } from '../ui/base';
import { Sheet } from '../ui/dialog';
import { Shell } from '../ui/shell';
import { ErrorNote, Skeleton } from '../ui/states';
import { say } from '../ui/toast';
import { useLiveList, type Live } from './worklist-live';
import { Filters, loadFilters, toQuery, type FilterState } from './worklist-filters';
import { KeysSheet, WorklistFoot } from './worklist-keys';
import { Preview } from './worklist-preview';
import { RejectDialog } from './worklist-reject';
import { Rows } from './worklist-rows';
import '../styles/worklist.css';

const PAGE_SIZE = 200;
const TABS: readonly Tab[] = ['to_write', 'to_review', 'critical', 'mine', 'done'];
const CLAIMABLE = ['to_write', 'writing', 'returned', 'submitted'];

export const mayRead = () => may('report.write') || may('report.sign') || hasRole('radiology_writer', 'radiology_reviewer', 'ecg_writer', 'ecg_reviewer');
const startTab = (): Tab => (hasRole('radiology_writer', 'ecg_writer') || !hasRole('radiology_reviewer', 'ecg_reviewer') ? 'to_write' : 'to_review');

export default function WorklistPage() {
  const [tab, setTab] = useState<Tab>(startTab);
  const [filters, setFilters] = useState<FilterState>(loadFilters);
  const [selected, setSelected] = useState<string | null>(null);
  const [sheet, setSheet] = useState<'preview' | 'keys' | 'reject' | null>(null);
  const listBox = useRef<HTMLDivElement>(null);

  const address = url('worklist', {}, { tab, ...toQuery(filters), limit: PAGE_SIZE });
  const { list, shown, fetchedAt, live, applyLive } = useLiveList(address);
  const items = shown ?? [];
  const counts = live?.page.counts ?? list.data?.counts ?? {};
  const item = items.find((row) => row.study_uid === selected) ?? null;

  const open = (row: WorklistItem) => openStudy(row, items);
  const move = (step: number) => {
    const at = items.findIndex((row) => row.study_uid === selected);
    const next = items[Math.min(items.length - 1, Math.max(0, at < 0 ? 0 : at + step))];
    if (!next) return;
    setSelected(next.study_uid);
    listBox.current?.querySelector<HTMLElement>(`[data-study-uid="${next.study_uid}"]`)?.focus();
  };
  const takeNext = () => {
    const next = nextFree(items);
    if (next) open(next);
    else say(t('worklist.none.free'), true);
  };
  useKeys({
    j: () => move(1), k: () => move(-1), ArrowDown: () => move(1), ArrowUp: () => move(-1),
    Enter: (event) => ((event.target as Element).closest('button, a') || !item ? false : open(item)),
    ' ': (event) => ((event.target as Element).closest('button, a') || !item ? false : setSheet('preview')),
    n: takeNext, e: () => (item && mayRead() ? setSheet('reject') : false), '?': () => setSheet('keys'),
    '/': () => document.getElementById('worklist-search')?.focus(),
  });
  useEffect(() => {
    if (!selected) return;
    const timer = setTimeout(() => void prefetchStudy(selected).catch(() => undefined), 120);
    return () => clearTimeout(timer);
  }, [selected]);
  useEffect(() => warmEngine(), []);

  const overdue = items.filter((row) => tab !== 'done' && waiting(row, fetchedAt, now.value).over_s >= 0).length;
  const filtered = Object.keys(toQuery(filters)).length > 0;
  return (
    <Shell page="worklist" title={t('worklist.title')} className="wl">
      <h1 class="sr">{t('worklist.title')}</h1>
      <TabsBar tab={tab} counts={counts} overdue={overdue} total={items.length} onTab={(name) => { setTab(name); setSelected(null); }} />
      <Filters value={filters} onChange={setFilters} items={items} onTakeNext={mayRead() && tab !== 'done' ? takeNext : undefined} />
      <div class="cols">
        <div class="listbox" ref={listBox} tabindex={-1}>
          <ListBody list={list} shown={shown} live={live} applyLive={applyLive} filtered={filtered} tab={tab} selected={selected} fetchedAt={fetchedAt}
            onClear={() => setFilters({ q: '', modality: '', institution: '', priority: '', arrived: '' })} onOpen={(row) => open(row)}
            onSelect={(uid) => { setSelected(uid); if (matchMedia('(max-width: 640px)').matches) setSheet('preview'); }} />
        </div>
        <aside class="side" aria-label={t('worklist.preview')}>
          <Preview item={item} fetchedAt={fetchedAt} onOpen={open} onReject={() => setSheet('reject')} />
        </aside>
      </div>
      <WorklistFoot updated={fetchedAt ? time(new Date(fetchedAt).toISOString()) : ''} onKeys={() => setSheet('keys')} />
      {sheet === 'preview' && item && <Sheet title={t('worklist.preview')} onClose={() => setSheet(null)}><Preview item={item} fetchedAt={fetchedAt} onOpen={open} onReject={() => setSheet('reject')} /></Sheet>}
      {sheet === 'keys' && <KeysSheet onClose={() => setSheet(null)} />}
      {sheet === 'reject' && item && <RejectDialog item={item} onClose={() => setSheet(null)} onDone={() => { setSheet(null); void list.reload(); }} />}
    </Shell>
  );
}

/** Opens a study for reading; a free one is claimed on the way. */
function openStudy(row: WorklistItem, items: readonly WorklistItem[]): void {
  void prefetchStudy(row.study_uid).catch(() => undefined);
  if (mayRead() && CLAIMABLE.includes(row.status) && !row.claimed_by && row.matched !== false) {
    claim(row.study_uid).catch((error: unknown) => {
      const holder = holderOf(error);
      if (holder) say(t('worklist.claimLost', { name: holder.display_name }), true);
    });
  }
  readingList.value = items.map((one) => one.study_uid);
  navigate(`/study/${row.study_uid}`);
}

function TabsBar({ tab, counts, overdue, total, onTab }: { tab: Tab; counts: Partial<Record<Tab, number>>; overdue: number; total: number; onTab: (tab: Tab) => void }) {
  return (
    <div class="sub">
      <div class="tabs" role="tablist" aria-label={t('worklist.title')}>
        {TABS.map((name) => (
          <button key={name} type="button" role="tab" aria-selected={name === tab} onClick={() => onTab(name)}>
            {t(`worklist.tab.${name}`)}
            {counts[name] !== undefined && <span class={`count ${name === 'critical' && counts[name] ? 'crit' : ''}`}>{counts[name]}</span>}
          </button>
        ))}
      </div>
      <div class="pulse">
        {overdue > 0 && <span class="late"><b>{overdue}</b> {t('worklist.overdue')}</span>}
        <span><b>{total}</b> {t('worklist.inList')}</span>
      </div>
    </div>
  );
}

interface BodyProps { list: ReturnType<typeof useLiveList>['list']; shown: WorklistItem[] | null; live: Live | null; applyLive: () => void; filtered: boolean; tab: Tab; selected: string | null; fetchedAt: number; onClear: () => void; onSelect: (uid: string) => void; onOpen: (row: WorklistItem) => void }

function ListBody(p: BodyProps) {
  const { list, shown, live, applyLive, filtered, tab, selected, fetchedAt } = p;
  const items = shown ?? [];
  return (
    <>
      {live && (live.arrived > 0 || live.gone.size > 0) && (
        <button type="button" class="btn arrived" onClick={applyLive}><Icon name="down" size="s" />{live.arrived > 0 ? t('worklist.arrived', { n: live.arrived }) : t('worklist.changed')}</button>
      )}
      {list.error && <div class="pad"><ErrorNote error={list.error} onRetry={() => void list.reload()} /></div>}
      {!shown && !list.error && <Skeleton rows={12} />}
      {shown && items.length === 0 && (
        <Empty icon={filtered ? 'filter' : 'check'} text={filtered ? t('worklist.empty.filtered') : t(`worklist.empty.${tab}`)}>
          {filtered && <button type="button" class="btn" onClick={p.onClear}>{t('worklist.filter.clear')}</button>}
        </Empty>
      )}
      {items.length > 0 && (
        <Rows items={items} gone={live?.gone ?? new Set()} selected={selected} fetchedAt={fetchedAt} label={t(`worklist.tab.${tab}`)} onSelect={p.onSelect} onOpen={p.onOpen} />
      )}
    </>
  );
}

/** Brings the viewer into the browser's cache while the list is read; not on links that save data. */
function warmEngine(): () => void {
  const link = (navigator as Navigator & { connection?: { saveData?: boolean } }).connection;
  if (link?.saveData) return () => undefined;
  const timer = setTimeout(() => void import('./study').then((m) => m.warm()).catch(() => undefined), 1500);
  return () => clearTimeout(timer);
}
