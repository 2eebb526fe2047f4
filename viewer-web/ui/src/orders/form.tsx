// New exam request: feeds the modality worklist of the device.
import { useState } from 'preact/hooks';
import { ApiError, call, get } from '../api/client';
import { url } from '../api/paths';
import type { CatalogueItem, OrderItem, Page, PatientRow, Priority, TimelineItem } from '../api/types';
import { pick, t } from '../i18n';
import { date, institution } from '../lib/format';
import { useResource } from '../lib/hooks';
import { Icon, Note } from '../ui/base';
import { ErrorNote, reasonOf } from '../ui/states';
import { say } from '../ui/toast';
import { checkNationalId } from './national-id';

const MODALITIES = ['CT', 'DX', 'MR', 'US', 'ECG'];
const PRIORITIES: readonly Priority[] = ['STAT', 'URGENT', 'ROUTINE'];
interface Draft { name: string; sex: 'M' | 'F' | ''; birth_date: string; national_id: string; id: string; modality: string; item: string; ae: string; priority: Priority; history: string; at: string }
const EMPTY: Draft = { name: '', sex: '', birth_date: '', national_id: '', id: '', modality: '', item: '', ae: '', priority: 'ROUTINE', history: '', at: '' };

export const draftFrom = (o: OrderItem): Partial<Draft> => ({ name: o.patient.name, sex: o.patient.sex === 'F' ? 'F' : o.patient.sex === 'M' ? 'M' : '', birth_date: o.patient.birth_date ?? '', id: o.patient.identifier ?? '', modality: o.modality, item: o.item_code ?? '', priority: o.priority === 'SCREENING' ? 'ROUTINE' : o.priority });

interface Props { start: Partial<Draft>; onDone: () => void; onClose: () => void }

export function OrderForm({ start, onDone, onClose }: Props) {
  const [draft, setDraft] = useState<Draft>({ ...EMPTY, ...start });
  const [error, setError] = useState('');
  const [busy, setBusy] = useState(false);
  const catalogue = useResource('items', () => get<Page<CatalogueItem>>(url('items')));
  const items = catalogue.data?.items ?? [];
  const modalities = [...new Set([...MODALITIES.filter((m) => items.some((i) => i.modality === m)), ...items.map((i) => i.modality)])];
  const modality = draft.modality || modalities[0] || '';
  const choices = items.filter((i) => i.modality === modality);
  const item = choices.find((i) => i.code === draft.item) ?? choices[0];
  const id = checkNationalId(draft.national_id);
  const set = (part: Partial<Draft>) => setDraft((d) => ({ ...d, ...part }));
  const setId = (national_id: string) => {
    const found = checkNationalId(national_id);
    set({ national_id, ...(found.state === 'ok' ? { birth_date: found.birth_date, sex: found.sex } : {}) });
  };
  const idOk = id.state === 'ok';
  const candidates = useResource(idOk && item ? `${draft.national_id}#${item.code}` : null, async (signal) => {
    const known = await get<Page<PatientRow>>(url('patients', {}, { q: draft.national_id.trim().toUpperCase(), limit: 1 }), { signal });
    const patient = known.items[0];
    return patient ? get<Page<TimelineItem>>(url('recognitionCandidates', {}, { patient: patient.id, item: item?.code }), { signal }) : { items: [] };
  });
  const candidate = candidates.data?.items[0];
  const missing = !draft.name.trim() || !draft.sex || !item || !draft.history.trim() || id.state === 'invalid' || id.state === 'short' || (!draft.id.trim() && id.state === 'empty');
  const send = async (event: Event) => {
    event.preventDefault();
    if (missing || !item) return setError(t('orders.missing'));
    setBusy(true);
    setError('');
    try {
      const { data } = await call<OrderItem>('POST', url('orders'), {
        body: {
          patient: { id: draft.id.trim() || draft.national_id.trim(), name: draft.name.trim(), sex: draft.sex, birth_date: draft.birth_date || undefined, national_id: draft.national_id.trim().toUpperCase() || undefined },
          modality, body_part: item.body_part, item_code: item.code, item_name: item.name_zh, priority: draft.priority, clinical_history: draft.history.trim(), scheduled_ae: draft.ae.trim() || undefined, scheduled_at: draft.at ? new Date(draft.at).toISOString() : new Date().toISOString(),
        },
      });
      say(t('orders.done', { n: data.accession_number }));
      setDraft(EMPTY);
      onDone();
    } catch (cause) {
      setError(cause instanceof ApiError ? reasonOf(cause) : String(cause));
    }
    setBusy(false);
  };
  const star = <span class="req" aria-hidden="true">*</span>;
  return (
    <form class="card form" onSubmit={send}>
      <header><h2>{t('orders.new')}</h2><button type="button" class="btn quiet end onlyphone" onClick={onClose}>{t('orders.close')}</button></header>
      <div class="sc" tabindex={-1}>
        <div class="g2f"><div class="field"><label for="o-name">{t('field.name')} {star}</label><input id="o-name" class="in" value={draft.name} autocomplete="off" onInput={(e) => set({ name: e.currentTarget.value })} /></div>
          <div class="field"><span class="lab">{t('field.sex')} {star}</span><div class="seg" role="group" aria-label={t('field.sex')}>{(['M', 'F'] as const).map((s) => <button type="button" key={s} aria-pressed={draft.sex === s} onClick={() => set({ sex: s })}>{t(`sex.${s}`)}</button>)}</div></div></div>
        <div class="field"><label for="o-nid">{t('field.nationalId')} {star}</label><input id="o-nid" class="in mono" inputMode="text" maxLength={18} autocomplete="off" value={draft.national_id} aria-invalid={id.state === 'invalid' ? 'true' : undefined} aria-describedby="o-nid-hint" onInput={(e) => setId(e.currentTarget.value)} />
          <span class={`hint row ${id.state === 'invalid' ? 'bad' : ''}`} id="o-nid-hint">{id.state === 'ok' && <><Icon name="check" size="s" />{t('orders.idOk')}</>}{id.state === 'invalid' && t('orders.idInvalid')}{id.state === 'short' && t('orders.idShort')}</span></div>
        <div class="g2f"><div class="field"><label for="o-birth">{t('field.birthDate')}</label><input id="o-birth" class="in" type="date" value={draft.birth_date} onInput={(e) => set({ birth_date: e.currentTarget.value })} /></div>
          <div class="field"><label for="o-id">{t('orders.patientId')}</label><input id="o-id" class="in" autocomplete="off" value={draft.id} onInput={(e) => set({ id: e.currentTarget.value })} /></div></div>
        {candidate && <Note tone="hr" title={t('orders.candidates')}><span class="muted">{date(candidate.at)} {candidate.item_name} {institution(candidate.institution)}</span> <a href={`/study/${candidate.study_uid}`}>{t('orders.view')}</a></Note>}
        {catalogue.error && <ErrorNote error={catalogue.error} onRetry={() => void catalogue.reload()} />}
        <div class="field"><span class="lab">{t('field.modality')} {star}</span><div class="seg" role="group" aria-label={t('field.modality')}>{modalities.map((m) => <button type="button" key={m} aria-pressed={m === modality} onClick={() => set({ modality: m, item: '' })}>{m}</button>)}</div></div>
        <div class="g2f"><div class="field"><label for="o-item">{t('orders.item')} {star}</label><select id="o-item" class="in" value={item?.code ?? ''} onChange={(e) => set({ item: e.currentTarget.value })}>{choices.map((i) => <option key={i.code} value={i.code}>{pick(i.name_zh, i.name_en)}</option>)}</select></div>
          <div class="field"><label for="o-ae">{t('orders.device')}</label><input id="o-ae" class="in mono" maxLength={16} value={draft.ae} placeholder="AE" onInput={(e) => set({ ae: e.currentTarget.value.toUpperCase() })} /></div></div>
        <div class="field"><span class="lab">{t('priority')} {star}</span><div class="seg" role="group" aria-label={t('priority')}>{PRIORITIES.map((p) => <button type="button" key={p} class={p === 'STAT' ? 'st' : ''} aria-pressed={draft.priority === p} onClick={() => set({ priority: p })}>{p === 'STAT' && <Icon name="alert" size="s" />}{t(`priority.${p}`)}</button>)}</div></div>
        <div class="field"><label for="o-history">{t('orders.history')} {star}</label><textarea id="o-history" class="in" rows={3} value={draft.history} onInput={(e) => set({ history: e.currentTarget.value })} /></div>
        <div class="field"><label for="o-at">{t('orders.scheduled')}</label><input id="o-at" class="in" type="datetime-local" value={draft.at} onInput={(e) => set({ at: e.currentTarget.value })} /></div>
        {error && <Note tone="warn" title={error} />}
      </div>
      <div class="df2"><button type="submit" class="btn lg primary" disabled={busy} title={missing ? t('orders.missing') : undefined}><Icon name="send" />{t('orders.send')}</button></div>
    </form>
  );
}
