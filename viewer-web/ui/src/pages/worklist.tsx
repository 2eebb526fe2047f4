// Reading worklist: tabs, filters, rows by class, preview, live changes that never move a row.
import { useEffect, useRef, useState } from 'preact/hooks';
import { claim, holderOf } from '../api/actions';
import { get } from '../api/client';
import { onLive } from '../api/events';
import { url } from '../api/paths';
import type { Tab, WorklistItem, WorklistPage } from '../api/types';
import { t } from '../i18n';
import { time } from '../lib/format';
import { now, useKeys, useResource } from '../lib/hooks';
import { readingList } from '../lib/reading-list';
import { navigate } from '../lib/router';
import { prefetchStudy } from '../lib/study-cache';
import { mergeLive, nextFree, ordered, waiting } from '../lib/worklist';
import { hasRole, may } from '../session';
import { Empty, Icon } from '../ui/base';
import { Sheet } from '../ui/dialog';
import { Shell } from '../ui/shell';
import { ErrorNote, Skeleton } from '../ui/states';
import { say } from '../ui/toast';
import { Filters, loadFilters, toQuery, type FilterState } from './worklist-filters';
import { KeysSheet, WorklistFoot } from './worklist-keys';
import { Preview } from './worklist-preview';
import { RejectDialog } from './worklist-reject';
import { Rows } from './worklist-rows';
import '../styles/worklist.css';

const PAGE_SIZE = 200;
const REFRESH_DELAY_MS = 800;
const TABS: readonly Tab[] = ['to_write', 'to_review', 'critical', 'mine', 'done'];
const CLAIMABLE = ['to_write', 'writing', 'returned', 'submitted'];

export const mayRead = () => may('report.write') || may('report.sign') || hasRole('radiology_writer', 'radiology_reviewer', 'ecg_writer', 'ecg_reviewer');
const startTab = (): Tab => (hasRole('radiology_writer', 'ecg_writer') || !hasRole('radiology_reviewer', 'ecg_reviewer') ? 'to_write' : 'to_review');

export default function WorklistPage() {
  const [tab, setTab] = useState<Tab>(startTab);
  const [filters, setFilters] = useState<FilterState>(loadFilters);
  const [selected, setSelected] = useState<string | null>(null);
  const [shown, setShown] = useState<WorklistItem[] | null>(null);
  const [live, setLive] = useState<{ page: WorklistPage; arrived: number; gone: Set<string> } | null>(null);
  const [sheet, setSheet] = useState<'preview' | 'keys' | 'reject' | null>(null);
  const listBox = useRef<HTMLDivElement>(null);

  const address = url('worklist', {}, { tab, ...toQuery(filters), limit: PAGE_SIZE });
  const list = useResource(address, (signal) => get<WorklistPage>(address, { signal }));
  const [fetchedAt, setFetchedAt] = useState(Date.now());
  useEffect(() => {
    setLive(null);
    if (!list.data) return setShown(null);
    setShown(ordered(list.data.items));
    setFetchedAt(list.fetchedAt);
  }, [list.data]);

  // Live changes: same rows in place, new ones behind a button.
  const shownRef = useRef(shown);
  shownRef.current = shown;
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const refresh = async () => {
      try {
        const page = await get<WorklistPage>(address);
        const current = shownRef.current;
        if (!current) return;
        if (current.length === 0) {
          setShown(ordered(page.items));
          setLive({ page, arrived: 0, gone: new Set() });
          return;
        }
        const merged = mergeLive(current, page.items);
        setShown(merged.items);
        setFetchedAt(Date.now());
        setLive({ page, arrived: merged.arrived, gone: merged.gone });
      } catch {
        // the next event tries again; the connection tag shows the state
      }
    };
    const off = onLive(() => {
      clearTimeout(timer);
      timer = setTimeout(() => void refresh(), REFRESH_DELAY_MS);
    });
    return () => {
      clearTimeout(timer);
      off();
    };
  }, [address]);

  const applyLive = () => {
    if (!live) return;
    setShown(ordered(live.page.items));
    setFetchedAt(Date.now());
    setLive({ ...live, arrived: 0, gone: new Set() });
  };
  const items = shown ?? [];
  const counts = live?.page.counts ?? list.data?.counts ?? {};
  const item = items.find((row) => row.study_uid === selected) ?? null;

  const open = async (row: WorklistItem) => {
    void prefetchStudy(row.study_uid);
    if (mayRead() && CLAIMABLE.includes(row.status) && !row.claimed_by && row.matched !== false) {
      claim(row.study_uid).catch((error: unknown) => {
        const holder = holderOf(error);
        if (holder) say(t('worklist.claimLost', { name: holder.display_name }), true);
      });
    }
    readingList.value = items.map((one) => one.study_uid);
    navigate(`/study/${row.study_uid}`);
  };
  const move = (step: number) => {
    const at = items.findIndex((row) => row.study_uid === selected);
    const next = items[Math.min(items.length - 1, Math.max(0, at < 0 ? 0 : at + step))];
    if (!next) return;
    setSelected(next.study_uid);
    listBox.current?.querySelector<HTMLElement>(`[data-study-uid="${next.study_uid}"]`)?.focus();
  };
  const takeNext = () => {
    const next = nextFree(items);
    if (next) void open(next);
    else say(t('worklist.none.free'), true);
  };
  useKeys({
    j: () => move(1), k: () => move(-1), ArrowDown: () => move(1), ArrowUp: () => move(-1),
    Enter: (event) => ((event.target as Element).closest('button, a') || !item ? false : void open(item)),
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
      <div class="sub">
        <div class="tabs" role="tablist" aria-label={t('worklist.title')}>
          {TABS.map((name) => (
            <button key={name} type="button" role="tab" aria-selected={name === tab} onClick={() => { setTab(name); setSelected(null); }}>
              {t(`worklist.tab.${name}`)}
              {counts[name] !== undefined && <span class={`count ${name === 'critical' && counts[name] ? 'crit' : ''}`}>{counts[name]}</span>}
            </button>
          ))}
        </div>
        <div class="pulse">
          {overdue > 0 && <span class="late"><b>{overdue}</b> {t('worklist.overdue')}</span>}
          <span><b>{items.length}</b> {t('worklist.inList')}</span>
        </div>
      </div>
      <Filters value={filters} onChange={setFilters} items={items} onTakeNext={mayRead() && tab !== 'done' ? takeNext : undefined} />
      <div class="cols">
        <div class="listbox" ref={listBox} tabindex={-1}>
          {live && (live.arrived > 0 || live.gone.size > 0) && (
            <button type="button" class="btn arrived" onClick={applyLive}><Icon name="down" size="s" />{live.arrived > 0 ? t('worklist.arrived', { n: live.arrived }) : t('worklist.changed')}</button>
          )}
          {list.error && <div class="pad"><ErrorNote error={list.error} onRetry={() => void list.reload()} /></div>}
          {!shown && !list.error && <Skeleton rows={12} />}
          {shown && items.length === 0 && (
            <Empty icon={filtered ? 'filter' : 'check'} text={filtered ? t('worklist.empty.filtered') : t(`worklist.empty.${tab}`)}>
              {filtered && <button type="button" class="btn" onClick={() => setFilters({ q: '', modality: '', institution: '', priority: '', arrived: '' })}>{t('worklist.filter.clear')}</button>}
            </Empty>
          )}
          {items.length > 0 && (
            <Rows items={items} gone={live?.gone ?? new Set()} selected={selected} fetchedAt={fetchedAt} label={t(`worklist.tab.${tab}`)}
              onSelect={(uid) => { setSelected(uid); if (matchMedia('(max-width: 640px)').matches) setSheet('preview'); }} onOpen={(row) => void open(row)} />
          )}
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

/** Brings the viewer into the browser's cache while the list is read; not on links that save data. */
function warmEngine(): () => void {
  const link = (navigator as Navigator & { connection?: { saveData?: boolean } }).connection;
  if (link?.saveData) return () => undefined;
  const timer = setTimeout(() => void import('./study').then((m) => m.warm()).catch(() => undefined), 1500);
  return () => clearTimeout(timer);
}
