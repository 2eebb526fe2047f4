// Patients that the account may see; each row leads to the timeline.
import { useEffect, useState } from 'preact/hooks';
import { get } from '../api/client';
import { url } from '../api/paths';
import type { Page, PatientRow } from '../api/types';
import { t } from '../i18n';
import { age, date, institution, sex } from '../lib/format';
import { useKeys, useResource } from '../lib/hooks';
import { Empty, Icon } from '../ui/base';
import { Shell } from '../ui/shell';
import { ErrorNote, Skeleton } from '../ui/states';
import { say } from '../ui/toast';
import '../styles/lists.css';

const PAGE_SIZE = 50;
const TYPING_MS = 300;

export default function PatientsPage() {
  const [text, setText] = useState('');
  const [query, setQuery] = useState('');
  useEffect(() => {
    const timer = setTimeout(() => setQuery(text.trim()), TYPING_MS);
    return () => clearTimeout(timer);
  }, [text]);
  const address = url('patients', {}, { q: query, limit: PAGE_SIZE });
  const list = useResource(address, (signal) => get<Page<PatientRow>>(address, { signal }));
  const [more, setMore] = useState<{ items: PatientRow[]; next?: string | null }>({ items: [] });
  useEffect(() => setMore({ items: [], next: list.data?.next_cursor }), [list.data]);
  const loadMore = async () => {
    try {
      const page = await get<Page<PatientRow>>(url('patients', {}, { q: query, limit: PAGE_SIZE, cursor: more.next }));
      setMore((held) => ({ items: [...held.items, ...page.items], next: page.next_cursor }));
    } catch {
      say(t('state.network'), true);
    }
  };
  useKeys({ '/': () => document.getElementById('patient-search')?.focus() });
  const rows = [...(list.data?.items ?? []), ...more.items];
  return (
    <Shell page="patients" title={t('patients.title')}>
      <div class="page">
        <div class="pagehead"><h1>{t('patients.title')}</h1>
          <label class="search wide"><Icon name="search" /><input id="patient-search" class="in" type="search" value={text} placeholder={t('patients.search')} aria-label={t('patients.search')} onInput={(e) => setText(e.currentTarget.value)} /></label>
        </div>
        <div class="card plist">
          {list.error && <ErrorNote error={list.error} onRetry={() => void list.reload()} />}
          {!list.data && !list.error && <Skeleton rows={8} />}
          {list.data && rows.length === 0 && <Empty icon="person" text={query ? t('patients.noHit') : t('patients.empty')} />}
          {rows.map((p) => (
            <a key={p.id} class="prow" href={`/patients/${encodeURIComponent(p.id)}`}>
              <span class="nm"><b>{p.name}</b><span>{sex(p.sex)} {age(null, p.birth_date)}</span></span>
              <span class="muted mono c-id">{p.identifier}</span>
              <span class="muted c-org">{institution(p.institution)}</span>
              <span class="num"><b>{p.studies}</b> <span class="faint">{t('patients.studies')}</span></span>
              <span class="muted c-last">{date(p.last_study_at)}</span>
              <Icon name="next" size="s" />
            </a>
          ))}
          {more.next && <button type="button" class="btn more" onClick={() => void loadMore()}>{t('act.more')}</button>}
        </div>
      </div>
    </Shell>
  );
}
