// Search and filters of the worklist; kept in this browser, but never the search text.
import { useEffect, useRef, useState } from 'preact/hooks';
import type { WorklistItem } from '../api/types';
import { t, type Key } from '../i18n';
import { institution } from '../lib/format';
import { PRIORITIES } from '../lib/worklist';
import { Icon } from '../ui/base';

export interface FilterState { q: string; modality: string; institution: string; priority: string; arrived: '' | 'today' | 'days3' | 'days7' }
const STORE = 'gongying.worklist.filters';
const MODALITIES = ['CT', 'DX', 'MR', 'US', 'ECG', 'MG', 'XA'];
const TYPING_MS = 300;
const DAY_MS = 86_400_000;

export function loadFilters(): FilterState {
  const none: FilterState = { q: '', modality: '', institution: '', priority: '', arrived: '' };
  try {
    return { ...none, ...(JSON.parse(localStorage.getItem(STORE) ?? '{}') as Partial<FilterState>), q: '' };
  } catch {
    return none;
  }
}

export function toQuery(f: FilterState, now = new Date()): Record<string, string> {
  const query: Record<string, string> = {};
  if (f.q.trim()) query.q = f.q.trim();
  for (const name of ['modality', 'institution', 'priority'] as const) if (f[name]) query[name] = f[name];
  if (f.arrived) {
    const days = f.arrived === 'today' ? 0 : f.arrived === 'days3' ? 2 : 6;
    const midnight = new Date(now.getFullYear(), now.getMonth(), now.getDate());
    query.from = new Date(midnight.getTime() - days * DAY_MS).toISOString();
  }
  return query;
}

interface Props { value: FilterState; onChange: (value: FilterState) => void; items: readonly WorklistItem[]; onTakeNext?: () => void }

export function Filters({ value, onChange, items, onTakeNext }: Props) {
  const [text, setText] = useState(value.q);
  const known = useRef(new Map<string, string>());
  for (const item of items) known.current.set(item.institution.code, institution(item.institution));
  useEffect(() => setText(value.q), [value.q]);
  useEffect(() => {
    if (text === value.q) return;
    const timer = setTimeout(() => onChange({ ...value, q: text }), TYPING_MS);
    return () => clearTimeout(timer);
  }, [text]);
  const set = (part: Partial<FilterState>) => {
    const next = { ...value, ...part };
    localStorage.setItem(STORE, JSON.stringify({ ...next, q: '' }));
    onChange(next);
  };
  const choice = (name: 'modality' | 'institution' | 'priority' | 'arrived', label: Key, options: [string, string][]) => (
    <label class={`chip ${value[name] ? 'on' : ''}`}>
      <span>{t(label)}</span>
      <select value={value[name]} onChange={(e) => set({ [name]: e.currentTarget.value } as Partial<FilterState>)}>
        <option value="">{t('field.all')}</option>
        {options.map(([id, words]) => <option key={id} value={id}>{words}</option>)}
      </select>
    </label>
  );
  return (
    <div class="filters" role="search">
      <label class="search">
        <Icon name="search" />
        <input id="worklist-search" class="in" type="search" placeholder={t('worklist.search')} aria-label={t('act.search')} value={text} onInput={(e) => setText(e.currentTarget.value)}
          onKeyDown={(e) => { if (e.key === 'Escape') { setText(''); e.currentTarget.blur(); } }} />
        <kbd>/</kbd>
      </label>
      {choice('modality', 'field.modality', MODALITIES.map((m) => [m, m]))}
      {choice('institution', 'field.institution', [...known.current])}
      {choice('priority', 'priority', PRIORITIES.map((p) => [p, t(`priority.${p}`)]))}
      {choice('arrived', 'worklist.filter.arrived', [['today', t('worklist.filter.today')], ['days3', t('worklist.filter.days3')], ['days7', t('worklist.filter.days7')]])}
      <span class="end" />
      {onTakeNext && <button type="button" class="btn primary" onClick={onTakeNext}><Icon name="play" />{t('worklist.takeNext')}<kbd>N</kbd></button>}
    </div>
  );
}
