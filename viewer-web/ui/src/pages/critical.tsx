// Critical values: four columns of open ones, the course of one, and what was closed.
import { useEffect, useState } from 'preact/hooks';
import { call, get, ApiError } from '../api/client';
import { onLive } from '../api/events';
import { url } from '../api/paths';
import type { CriticalState, CriticalValue, Page } from '../api/types';
import { t } from '../i18n';
import { age, duration, evidenceText, institution, person, sex, shortTime, timeSeconds } from '../lib/format';
import { atOf, between, byUrgency, STATES, stepClock } from '../lib/critical';
import { now, useResource } from '../lib/hooks';
import { session } from '../session';
import { Empty, Mod, Note } from '../ui/base';
import { Shell } from '../ui/shell';
import { ErrorNote, reasonOf, Skeleton } from '../ui/states';
import { say } from '../ui/toast';
import '../styles/critical.css';

type Open = Exclude<CriticalState, 'closed'>;
const OPEN: readonly Open[] = ['raised', 'notified', 'acknowledged', 'acted'];
const NEXT: Record<Open, 'criticalNotify' | 'criticalAcknowledge' | 'criticalAct' | 'criticalClose'> = { raised: 'criticalNotify', notified: 'criticalAcknowledge', acknowledged: 'criticalAct', acted: 'criticalClose' };

function Card({ c, selected, onSelect }: { c: CriticalValue; selected: boolean; onSelect: () => void }) {
  const clock = stepClock(c, now.value);
  return (
    <button type="button" class={`cv ${selected ? 'sel' : ''} ${clock?.tone === 'crit' ? 'late' : ''}`} aria-pressed={selected} onClick={onSelect}>
      <span class="t">{c.modality && <Mod>{c.modality}</Mod>}<b>{c.patient?.name}</b><span class="faint end">{sex(c.patient?.sex)} {age(c.patient?.age_text, c.patient?.birth_date)}</span></span>
      <span class="it">{c.text}</span>
      <span class="muted">{institution(c.institution)} {shortTime(c.raised_at, now.value)} {t('board.step.raised')}</span>
      {clock && <span class={`bar ${clock.tone || 'info'}`}><i style={{ width: `${Math.min(100, Math.max(0, clock.share * 100))}%` }} /></span>}
      {clock && <span class="clk"><span>{t('board.elapsed', { t: duration(clock.elapsed_s) })}</span><b class={clock.tone}>{clock.left_s >= 0 ? t('board.left', { t: duration(clock.left_s) }) : t('board.over', { t: duration(-clock.left_s) })}</b></span>}
    </button>
  );
}

function Detail({ c, onDone }: { c: CriticalValue; onDone: () => void }) {
  const [note, setNote] = useState('');
  const [told, setTold] = useState({ person: '', channel: 'phone', read_back: false });
  const [error, setError] = useState('');
  const [busy, setBusy] = useState(false);
  const state = c.state;
  const raiser = typeof c.raised_by === 'string' ? c.raised_by : c.raised_by?.user;
  const own = state === 'notified' && raiser === session.value?.user;
  const missing = (state === 'raised' && !told.person.trim()) || (state === 'acknowledged' && !note.trim());
  const go = async () => {
    if (state === 'closed') return;
    setBusy(true);
    setError('');
    try {
      await call('POST', url(NEXT[state], { id: c.id }), { body: state === 'raised' ? { ...told, person: told.person.trim() } : note.trim() ? { note: note.trim(), text: note.trim() } : {} });
      say(t('board.done'));
      setNote('');
      onDone();
    } catch (cause) {
      setError(cause instanceof ApiError ? reasonOf(cause) : String(cause));
    }
    setBusy(false);
  };
  return (
    <>
      <header>{c.modality && <Mod>{c.modality}</Mod>}<h2>{c.patient?.name}</h2><span class="muted">{sex(c.patient?.sex)} {age(c.patient?.age_text, c.patient?.birth_date)}</span></header>
      <div class="sc" tabindex={-1}>
        <div><p class="big">{c.text}</p>{c.evidence != null && <p class="muted">{t('board.evidence')} {evidenceText(c.evidence)}</p>}<p><a href={`/study/${c.study_uid}`}>{t('board.openStudy')}</a></p></div>
        <h3>{t('board.course')}</h3>
        <ol class="steps">
          {STATES.map((s, k) => {
            const at = atOf(c, s);
            const by = c[`${s}_by`];
            return <li key={s} class={at ? 'done' : STATES.indexOf(state) === k - 1 ? 'now' : ''}><div>{t(`board.step.${s}`)} <span class="faint">{timeSeconds(at)}</span>{by && <><br /><span class="muted">{person(by)}</span></>}</div></li>;
          })}
        </ol>
        {state === 'raised' && <Notified value={told} onChange={setTold} />}
        {state !== 'closed' && state !== 'raised' && !own && <div class="field"><label for="critical-note">{t(`board.note.${state}`)}</label><textarea id="critical-note" class="in" rows={2} value={note} onInput={(e) => setNote(e.currentTarget.value)} /></div>}
        {own && <p class="hint">{t('board.own')}</p>}
        {error && <Note tone="warn" title={error} />}
      </div>
      {state !== 'closed' && <div class="df2"><button type="button" class="btn lg primary" disabled={busy || own || missing} title={own ? t('board.own') : missing ? t('field.required') : undefined} onClick={() => void go()}>{t(`board.do.${state}`)}</button></div>}
    </>
  );
}

interface Told { person: string; channel: string; read_back: boolean }
const CHANNELS = ['phone', 'system', 'in_person'] as const;

function Notified({ value, onChange }: { value: Told; onChange: (value: Told) => void }) {
  return (
    <>
      <div class="field"><label for="critical-person">{t('board.person')} <span class="req">*</span></label><input id="critical-person" class="in" value={value.person} onInput={(e) => onChange({ ...value, person: e.currentTarget.value })} /></div>
      <div class="field"><label for="critical-channel">{t('board.channel')}</label><select id="critical-channel" class="in" value={value.channel} onChange={(e) => onChange({ ...value, channel: e.currentTarget.value })}>{CHANNELS.map((c) => <option key={c} value={c}>{t(`board.channel.${c}`)}</option>)}</select></div>
      <label class="row"><input type="checkbox" checked={value.read_back} onChange={(e) => onChange({ ...value, read_back: e.currentTarget.checked })} /> {t('board.readBack')}</label>
    </>
  );
}

export default function CriticalPage() {
  const list = useResource('critical', (signal) => get<Page<CriticalValue>>(url('criticalValues'), { signal }));
  const [chosen, setChosen] = useState<string | number | null>(null);
  useEffect(() => onLive((event) => (event.name === 'critical_value' || event.name === 'resync') && void list.reload()), [list.reload]);
  const items = list.data?.items ?? [];
  const open = items.filter((c) => c.state !== 'closed');
  const closed = items.filter((c) => c.state === 'closed').sort((a, b) => (b.closed_at ?? '').localeCompare(a.closed_at ?? '')).slice(0, 50);
  const late = open.filter((c) => (stepClock(c, now.value)?.left_s ?? 1) < 0).length;
  const selected = items.find((c) => c.id === chosen) ?? byUrgency(open, now.value)[0] ?? null;
  const span = (c: CriticalValue, from: CriticalState, to: CriticalState) => {
    const s = between(c, from, to);
    return s === null ? '–' : duration(s);
  };
  return (
    <Shell page="critical" title={t('board.title')} className="cb">
      <div class="head"><h1>{t('board.title')}</h1><span class="st"><b>{open.length}</b> {t('board.open')}</span>{late > 0 && <span class="st late"><b>{late}</b> {t('board.late')}</span>}</div>
      {list.error && <div class="pad"><ErrorNote error={list.error} onRetry={() => void list.reload()} /></div>}
      {!list.data && !list.error && <Skeleton rows={6} />}
      {list.data && (
        <div class="cols">
          <div class="left">
            <div class="board">
              {OPEN.map((state) => {
                const column = byUrgency(items.filter((c) => c.state === state), now.value);
                return (
                  <section class="colm" key={state} aria-label={t(`board.${state}`)}>
                    <header><h2>{t(`board.${state}`)}</h2><span class={`count ${state === 'raised' && column.length ? 'crit' : ''}`}>{column.length}</span><span class="faint">{t(`board.goal.${state}`)}</span></header>
                    {column.length === 0 && <Empty text={t('board.none')} />}
                    {column.map((c) => <Card key={c.id} c={c} selected={selected?.id === c.id} onSelect={() => setChosen(c.id)} />)}
                  </section>
                );
              })}
            </div>
            <section class="card closedbox"><header><h2>{t('board.closed')}</h2><span class="count">{closed.length}</span></header>
              {closed.length > 0 && (
                <div class="scroller" tabindex={-1}><table class="grid">
                  <colgroup><col style={{ width: '104px' }} /><col style={{ width: '170px' }} /><col /><col style={{ width: '140px' }} /><col style={{ width: '84px' }} /><col style={{ width: '84px' }} /><col style={{ width: '84px' }} /></colgroup>
                  <thead><tr><th scope="col">{t('board.step.raised')}</th><th scope="col">{t('field.patient')}</th><th scope="col">{t('stat.item')}</th><th scope="col">{t('field.institution')}</th><th scope="col" class="num">{t('board.toNotify')}</th><th scope="col" class="num">{t('board.toAck')}</th><th scope="col" class="num">{t('board.toAct')}</th></tr></thead>
                  <tbody>{closed.map((c) => <tr key={c.id}><td>{shortTime(c.raised_at, now.value)}</td><td>{c.modality && <Mod>{c.modality}</Mod>}<button type="button" class="lk" onClick={() => setChosen(c.id)}>{c.patient?.name}</button></td><td title={c.text}>{c.text}</td><td class="muted">{institution(c.institution)}</td><td class="num">{span(c, 'raised', 'notified')}</td><td class="num">{span(c, 'raised', 'acknowledged')}</td><td class="num">{span(c, 'raised', 'acted')}</td></tr>)}</tbody>
                </table></div>
              )}
            </section>
          </div>
          <aside class="card cdet" aria-label={t('board.course')}>{selected ? <Detail key={`${selected.id}${selected.state}`} c={selected} onDone={() => void list.reload()} /> : <Empty icon="bell" text={t('board.choose')} />}</aside>
        </div>
      )}
    </Shell>
  );
}
