// Sign, return, amend, critical value, share: each shows what is about to happen; the last button goes on.
import { useState } from 'preact/hooks';
import { criticalItems, raiseCritical } from '../api/actions';
import { ApiError, call } from '../api/client';
import { url } from '../api/paths';
import type { Session, Study } from '../api/types';
import { pick, t, type Key } from '../i18n';
import { age, dateTime, person, sex } from '../lib/format';
import { useResource } from '../lib/hooks';
import { Icon, Note, Tag } from '../ui/base';
import { Dialog } from '../ui/dialog';
import { ErrorNote, reasonOf } from '../ui/states';
import { say } from '../ui/toast';
import type { ReportStore } from './store';
import { checkReport } from './text';

export type DialogName = 'sign' | 'return' | 'amend' | 'critical' | 'share';
type Run = (action: 'reportReturn' | 'reportSign' | 'reportAmend', body: Record<string, unknown>, done: string) => Promise<boolean>;
interface Props { name: DialogName | null; study: Study; store: ReportStore; signer: Session | null | undefined; onClose: () => void; onRun: Run; onChanged: () => Promise<void> }

export function ReportDialogs(p: Props) {
  if (p.name === 'sign') return <SignDialog {...p} />;
  if (p.name === 'return') return <ReturnDialog {...p} />;
  if (p.name === 'amend') return <AmendDialog {...p} />;
  if (p.name === 'critical') return <CriticalDialog study={p.study} impression={p.store.draft.value.impression} onClose={p.onClose} onChanged={p.onChanged} />;
  if (p.name === 'share') return <ShareDialog study={p.study} onClose={p.onClose} />;
  return null;
}

function useRun(store: ReportStore, run: () => Promise<boolean>) {
  const [error, setError] = useState('');
  const [busy, setBusy] = useState(false);
  const go = async () => {
    setBusy(true);
    if (!(await run())) setError(store.message.value || t('state.error', { why: '' }));
    setBusy(false);
  };
  return { error, busy, go };
}

function SignDialog({ study, store, signer, onClose, onRun }: Props) {
  const report = store.report.value;
  const draft = store.draft.value;
  const author = report?.author ?? study.author;
  const checks = checkReport(draft.findings, draft.impression, author?.user, signer?.user ?? '');
  const { error, busy, go } = useRun(store, () => onRun('reportSign', {}, ''));
  const line = (good: boolean, ok: Key, bad: Key) => <li><Icon name={good ? 'check' : 'alert'} /><span class={good ? '' : 'strong'}>{t(good ? ok : bad)}</span></li>;
  return (
    <Dialog title={t('sign.title')} lead={t('sign.lead')} go={<><Icon name="shield" />{t('sign.go')}</>} disabled={busy || !checks.blanksFilled || !checks.impressionGiven} onClose={onClose} onGo={go} wide>
      <div class="sum">
        <dl class="kv">
          <dt>{t('field.patient')}</dt><dd><b>{study.patient.name}</b> {sex(study.patient.sex)} {age(study.patient.age_text, study.patient.birth_date)} <span class="mono">{study.accession_number}</span></dd>
          <dt>{t('field.exam')}</dt><dd>{study.modality} {study.item_name} {dateTime(study.study_at)}</dd>
          <dt>{t('report.impression')}</dt><dd class="pre">{draft.impression}</dd>
          <dt>{t('report.findings')}</dt><dd class="pre clip">{draft.findings}</dd>
          <dt>{t('sign.signature')}</dt><dd>{t('sign.by', { author: person(author), signer: signer?.display_name ?? '' })}</dd>
        </dl>
      </div>
      <div><h3>{t('sign.checks')}</h3>
        <ul class="chk">
          {line(checks.impressionGiven, 'sign.check.impression', 'sign.check.impressionBad')}{line(checks.blanksFilled, 'sign.check.blanks', 'sign.check.blanksBad')}
          {line(checks.sidesAgree, 'sign.check.sides', 'sign.check.sidesBad')}{line(checks.twoPersons, 'sign.check.persons', 'sign.check.personsBad')}
        </ul>
      </div>
      {error && <Note tone="warn" title={error} />}
    </Dialog>
  );
}

function ReturnDialog({ store, onClose, onRun }: Props) {
  const [reason, setReason] = useState('');
  const { error, busy, go } = useRun(store, () => onRun('reportReturn', { reason: reason.trim() }, t('report.returnedDone')));
  return (
    <Dialog title={t('return.title')} go={t('return.go')} disabled={busy || !reason.trim()} onClose={onClose} onGo={go}>
      <div class="field"><label for="return-reason">{t('field.reason')}</label><textarea id="return-reason" class="in" rows={3} placeholder={t('return.placeholder')} value={reason} onInput={(e) => setReason(e.currentTarget.value)} /></div>
      {error && <Note tone="warn" title={error} />}
    </Dialog>
  );
}

function AmendDialog({ store, onClose, onRun }: Props) {
  const [kind, setKind] = useState<'addendum' | 'correction' | 'revocation'>('addendum');
  const [text, setText] = useState('');
  const [reason, setReason] = useState('');
  const { error, busy, go } = useRun(store, () => onRun('reportAmend', { kind, text: text.trim(), reason: reason.trim() }, t('report.amended')));
  const missing = (kind !== 'revocation' && !text.trim()) || (kind !== 'addendum' && !reason.trim());
  return (
    <Dialog title={t('amend.title')} lead={t('amend.lead')} go={t('amend.go')} tone={kind === 'revocation' ? 'danger' : 'primary'} disabled={busy || missing} onClose={onClose} onGo={go} wide>
      <div class="seg" role="group" aria-label={t('amend.kind')}>{(['addendum', 'correction', 'revocation'] as const).map((k) => <button type="button" key={k} aria-pressed={kind === k} onClick={() => setKind(k)}>{t(`amend.${k}`)}</button>)}</div>
      <div class="field"><label for="amend-text">{t('amend.text')}</label><textarea id="amend-text" class="in rt" rows={5} value={text} onInput={(e) => setText(e.currentTarget.value)} /></div>
      <div class="field"><label for="amend-reason">{t('amend.reason')}{kind !== 'addendum' && <span class="req"> *</span>}</label><input id="amend-reason" class="in" value={reason} onInput={(e) => setReason(e.currentTarget.value)} /></div>
      {error && <Note tone="warn" title={error} />}
    </Dialog>
  );
}

const OTHER = 'other';

export function CriticalDialog({ study, impression, onClose, onChanged }: { study: Study; impression: string; onClose: () => void; onChanged: () => Promise<void> }) {
  const list = useResource('critical-items', () => criticalItems());
  const items = (list.data ?? []).filter((item) => !item.kind || item.kind === (study.has_waveform ? 'ecg' : 'imaging'));
  const nameOf = (wanted: string) => {
    const found = items.find((item) => item.code === wanted);
    return wanted === OTHER ? t('critical.item.other') : found ? pick(found.text_zh, found.text_en) : '';
  };
  const [code, setCode] = useState('');
  const [text, setText] = useState('');
  const [evidence, setEvidence] = useState(study.machine_flags?.filter((f) => f.critical).map((f) => f.text_zh).join('，') ?? '');
  const [error, setError] = useState('');
  const [busy, setBusy] = useState(false);
  const choose = (next: string) => {
    if (!text || text === nameOf(code)) setText(next === OTHER ? '' : nameOf(next));
    setCode(next);
  };
  const go = async () => {
    setBusy(true);
    try {
      await raiseCritical(study.study_uid, code, text.trim(), evidence.trim() || impression.trim());
      say(t('critical.raise.done'));
      onClose();
      await onChanged();
    } catch (cause) {
      setError(cause instanceof ApiError ? reasonOf(cause) : String(cause));
    }
    setBusy(false);
  };
  return (
    <Dialog title={t('critical.raise')} lead={<><b>{study.patient.name}</b> {study.modality} {study.item_name}</>} go={<><Icon name="bell" />{t('critical.raise.go')}</>} tone="danger" disabled={busy || !code || !text.trim()} onClose={onClose} onGo={go}>
      <div class="field"><label for="critical-item">{t('critical.raise.item')}</label><select id="critical-item" class="in" value={code} onChange={(e) => choose(e.currentTarget.value)}><option value="" />{items.map((item) => <option key={item.code} value={item.code}>{pick(item.text_zh, item.text_en)}</option>)}<option value={OTHER}>{t('critical.item.other')}</option></select></div>
      <div class="field"><label for="critical-text">{t('critical.raise.text')}</label><textarea id="critical-text" class="in" rows={3} value={text} onInput={(e) => setText(e.currentTarget.value)} /></div>
      <div class="field"><label for="critical-evidence">{t('critical.raise.evidence')}</label><input id="critical-evidence" class="in" value={evidence} onInput={(e) => setEvidence(e.currentTarget.value)} /></div>
      <p class="hint">{t('critical.raise.lead')}</p>
      {list.error && <ErrorNote error={list.error} onRetry={() => void list.reload()} />}
      {error && <Note tone="warn" title={error} />}
    </Dialog>
  );
}

const DAY_S = 86_400;

function ShareDialog({ study, onClose }: { study: Study; onClose: () => void }) {
  const [pin, setPin] = useState(() => String(1000 + (crypto.getRandomValues(new Uint16Array(1))[0] ?? 0) % 9000));
  const [days, setDays] = useState(7);
  const [made, setMade] = useState<{ id: string; url: string; expires_at?: string } | null>(null);
  const [error, setError] = useState('');
  const address = made ? new URL(made.url, location.origin).href : '';
  const attempt = async (work: () => Promise<void>) => {
    try {
      setError('');
      await work();
    } catch (cause) {
      setError(cause instanceof ApiError ? reasonOf(cause) : String(cause));
    }
  };
  const make = () => attempt(async () => setMade((await call<{ id: string; url: string; expires_at?: string }>('POST', url('shares', { uid: study.study_uid }), { body: { expires_in_s: days * DAY_S, pin } })).data));
  const copy = () => attempt(async () => { await navigator.clipboard.writeText(`${address}\nPIN ${pin}`); say(t('share.create.copied')); });
  const revoke = () => attempt(async () => { await call('DELETE', url('share', { uid: study.study_uid, id: made?.id ?? '' })); setMade(null); say(t('share.create.revoked')); });
  return (
    <Dialog title={t('share.create.title')} lead={t('share.create.lead')} go={made ? t('share.create.copy') : t('share.create.go')} disabled={!/^\d{4,8}$/.test(pin)} onClose={onClose} onGo={made ? copy : make}>
      {made ? (
        <div class="sum"><p class="mono brk">{address}</p><p>PIN <b class="mono">{pin}</b> <Tag>{t('share.create.until', { time: dateTime(made.expires_at ?? new Date(Date.now() + days * DAY_S * 1000).toISOString()) })}</Tag></p><button type="button" class="btn warnline" onClick={() => void revoke()}>{t('share.create.revoke')}</button></div>
      ) : (
        <>
          <div class="field"><label for="share-pin">{t('share.create.pin')}</label><input id="share-pin" class="in" inputMode="numeric" value={pin} onInput={(e) => setPin(e.currentTarget.value)} /></div>
          <div class="field"><label for="share-days">{t('share.create.days')}</label><select id="share-days" class="in" value={days} onChange={(e) => setDays(Number(e.currentTarget.value))}>{[1, 3, 7, 30].map((n) => <option key={n} value={n}>{t('share.create.day', { n })}</option>)}</select></div>
        </>
      )}
      {error && <Note tone="warn" title={error} />}
    </Dialog>
  );
}
