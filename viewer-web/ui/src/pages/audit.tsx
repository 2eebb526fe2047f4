// Audit search: who did what, when, with which result.
import { useState } from 'preact/hooks';
import { ApiError, get } from '../api/client';
import { url } from '../api/paths';
import type { AuditRow, Page } from '../api/types';
import { dictionary } from '../i18n/dictionary';
import { language, t, type Key } from '../i18n';
import { date, evidenceText, institution, timeSeconds } from '../lib/format';
import { useResource } from '../lib/hooks';
import { Empty, Icon, Tag } from '../ui/base';
import { Shell } from '../ui/shell';
import { ErrorNote, reasonOf, Skeleton } from '../ui/states';
import { say } from '../ui/toast';
import '../styles/lists.css';

const PAGE_SIZE = 100;
const EVENTS = ['110114', '110109', '110112', '110103', '110104', '110106', '110110', '110111', '110113', '110101'];
interface Query { from: string; to: string; user: string; study_uid: string; event: string }

export const eventName = (row: AuditRow): string => {
  const key = `audit.e.${row.event}`;
  if (language.value === 'zh' && row.event_text_zh) return row.event_text_zh;
  if (row.event_text_en) return row.event_text_en;
  return key in dictionary ? t(key as Key) : row.event;
};

export default function AuditPage() {
  const [draft, setDraft] = useState<Query>({ from: '', to: '', user: '', study_uid: '', event: '' });
  const [query, setQuery] = useState(draft);
  const wire = { user: query.user.trim(), study_uid: query.study_uid.trim(), event: query.event, from: query.from && new Date(query.from).toISOString(), to: query.to && new Date(query.to).toISOString(), limit: PAGE_SIZE };
  const address = url('audit', {}, wire);
  const list = useResource(address, (signal) => get<Page<AuditRow>>(address, { signal }));
  const [more, setMore] = useState<{ of: string; rows: AuditRow[]; next: string | null | undefined }>({ of: '', rows: [], next: null });
  const tail = more.of === address ? more : { of: address, rows: [], next: list.data?.next_cursor };
  const rows = [...(list.data?.items ?? []), ...tail.rows];
  const loadMore = async () => {
    try {
      const page = await get<Page<AuditRow>>(url('audit', {}, { ...wire, cursor: tail.next }));
      setMore({ of: address, rows: [...tail.rows, ...page.items], next: page.next_cursor });
    } catch (cause) {
      say(cause instanceof ApiError ? reasonOf(cause) : String(cause), true);
    }
  };
  const write = (name: keyof Query) => (e: { currentTarget: HTMLInputElement }) => setDraft({ ...draft, [name]: e.currentTarget.value });
  const text = (name: 'user' | 'study_uid', words: Key) => <div class="field"><label for={`audit-${name}`}>{t(words)}</label><input id={`audit-${name}`} class="in" value={draft[name]} onInput={write(name)} /></div>;
  const moment = (name: 'from' | 'to', words: Key) => <div class="field"><label for={`audit-${name}`}>{t(words)}</label><input id={`audit-${name}`} class="in" type="datetime-local" value={draft[name]} onInput={write(name)} /></div>;
  return (
    <Shell page="audit" title={t('audit.title')}>
      <div class="page">
        <div class="pagehead"><h1>{t('audit.title')}</h1></div>
        <form class="ftools" onSubmit={(e) => { e.preventDefault(); setQuery(draft); }}>
          {moment('from', 'field.from')}{moment('to', 'field.to')}{text('user', 'audit.user')}{text('study_uid', 'audit.study')}
          <div class="field"><label for="audit-event">{t('audit.event')}</label><select id="audit-event" class="in" value={draft.event} onChange={(e) => setDraft({ ...draft, event: e.currentTarget.value })}><option value="">{t('field.all')}</option>{EVENTS.map((code) => <option key={code} value={code}>{t(`audit.e.${code}` as Key)}</option>)}</select></div>
          <button type="submit" class="btn primary"><Icon name="search" />{t('audit.search')}</button>
        </form>
        <section class="card">
          {list.error && <ErrorNote error={list.error} onRetry={() => void list.reload()} />}
          {!list.data && !list.error && <Skeleton rows={10} />}
          {list.data && rows.length === 0 && <Empty icon="search" text={t('audit.empty')} />}
          {rows.length > 0 && (
            <div class="scroller" tabindex={-1}><table class="simple"><thead><tr><th scope="col">{t('audit.at')}</th><th scope="col">{t('audit.user')}</th><th scope="col">{t('field.institution')}</th><th scope="col">{t('audit.event')}</th><th scope="col">{t('audit.outcome')}</th><th scope="col">{t('audit.study')}</th><th scope="col">{t('audit.ip')}</th><th scope="col">{t('audit.detail')}</th></tr></thead>
              <tbody>{rows.map((r) => (
                <tr key={r.id}><td class="nowrap">{date(r.at)} {timeSeconds(r.at)}</td><td class="mono">{r.user}</td><td>{institution(r.institution)}</td><td class="nowrap">{eventName(r)}</td><td>{String(r.outcome) === '0' ? <Tag tone="ok" icon="check">{t('audit.ok')}</Tag> : <Tag tone="warn" icon="alert">{t('audit.failed', { n: r.outcome })}</Tag>}</td><td class="mono brk">{r.study_uid}</td><td class="mono">{r.source_ip}</td><td class="muted">{evidenceText(r.detail)}</td></tr>
              ))}</tbody></table></div>
          )}
          {tail.next && <p class="pad"><button type="button" class="btn" onClick={() => void loadMore()}>{t('act.more')}</button></p>}
        </section>
      </div>
    </Shell>
  );
}
