// Files of ECG carts: chosen, filed under a request, and what became of each.
import { useState } from 'preact/hooks';
import { ApiError, call } from '../api/client';
import { url } from '../api/paths';
import type { EcgAnalysis, OrderItem, UploadedRecording } from '../api/types';
import { GateNote } from '../ecg/acquisition';
import { ecgAnalysis } from '../ecg/data';
import { dictionary } from '../i18n/dictionary';
import { pick, t, type Key } from '../i18n';
import { sex, age } from '../lib/format';
import { useResource } from '../lib/hooks';
import { Note, Tag } from '../ui/base';
import { Dialog } from '../ui/dialog';
import { reasonOf } from '../ui/states';

const ACCEPTED = '.dcm,.scp,.xml,.edf,.bdf,.mwf,.mfer,.ecg,.hea,.dat,.pdf';

/** ECG requests that still take recordings, those without any first. */
export const openEcgOrders = (orders: readonly OrderItem[]): OrderItem[] =>
  orders.filter((o) => o.modality === 'ECG' && !['cancelled', 'reported'].includes(o.state)).sort((a, b) => Number(a.state !== 'ordered') - Number(b.state !== 'ordered'));

interface Props { orders: readonly OrderItem[]; start: string; onClose: () => void; onDone: () => void }

export function UploadDialog({ orders, start, onClose, onDone }: Props) {
  const choices = openEcgOrders(orders);
  const [order, setOrder] = useState(start || choices[0]?.accession_number || '');
  const [files, setFiles] = useState<File[]>([]);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState('');
  const [items, setItems] = useState<UploadedRecording[]>([]);

  const send = async (accept: boolean) => {
    const form = new FormData();
    if (order) form.set('accession_number', order);
    if (accept) form.set('accept_mismatch', 'true');
    for (const file of files) form.append('files', file, file.name);
    setBusy(true);
    setError('');
    try {
      const { data } = await call<{ items: UploadedRecording[] }>('POST', url('ecgRecordings'), { form });
      setItems(data.items);
      onDone();
    } catch (cause) {
      const refused = cause instanceof ApiError ? (cause.body.items as UploadedRecording[] | undefined) : undefined;
      setItems(refused ?? []);
      if (!refused) setError(cause instanceof ApiError ? reasonOf(cause) : String(cause));
    }
    setBusy(false);
  };
  const again = () => {
    setItems([]);
    setFiles([]);
  };
  const finished = items.length > 0;
  const mismatch = items.some((item) => item.reason?.code === 'patient_mismatch');
  return (
    <Dialog wide cancel={finished ? t('upload.finish') : undefined} title={t('upload.title')} lead={finished ? undefined : t('upload.lead')} disabled={busy || (!finished && files.length === 0)} why={busy ? t('upload.sending') : !finished && files.length === 0 ? t('upload.choose') : undefined}
      go={busy ? t('upload.sending') : finished ? t('upload.again') : t('upload.go')} onClose={onClose} onGo={finished ? again : () => send(false)}>
      {!finished && (
        <>
          <div class="field"><label for="up-order">{t('upload.order')}</label>
            <select id="up-order" class="in" data-testid="ecg-upload-order" value={order} onChange={(e) => setOrder(e.currentTarget.value)}>
              {choices.map((o) => <option key={o.accession_number} value={o.accession_number}>{`${o.patient.name} ${sex(o.patient.sex)} ${age(o.patient.age_text, o.patient.birth_date)} · ${o.item_name} · ${o.accession_number}`}</option>)}
              <option value="">{t('upload.order.file')}</option>
            </select></div>
          <div class="field"><label for="up-files">{t('upload.files')}</label>
            <input id="up-files" class="in file" type="file" multiple accept={ACCEPTED} data-testid="ecg-upload-files" onChange={(e) => setFiles([...(e.currentTarget.files ?? [])])} />
            <span class="hint">{t('upload.files.hint')}</span></div>
        </>
      )}
      {error && <Note tone="warn" title={error} />}
      {finished && <ul class="uploaded" data-testid="ecg-upload-result">{items.map((item) => <Result key={item.file} item={item} />)}</ul>}
      {mismatch && <p><button type="button" class="btn warnline" disabled={busy} onClick={() => void send(true)}>{t('upload.accept')}</button></p>}
    </Dialog>
  );
}

function Result({ item }: { item: UploadedRecording }) {
  const uid = item.outcome === 'refused' ? null : (item.study_uid ?? null);
  const reading = useResource(item.measurable && uid ? uid : null, () => ecgAnalysis(uid ?? ''));
  return (
    <li data-outcome={item.outcome}>
      <span class="ell"><b>{item.file}</b> {item.beside && item.beside.length > 0 && <span class="faint">+ {item.beside.join(' ')}</span>}</span>
      {item.outcome === 'refused' ? <Tag tone="crit" icon="x">{t('upload.refused')}</Tag> : <Tag tone="ok" icon="check">{t(`upload.${item.outcome}`)}</Tag>}
      {item.reason && <p class="why">{pick(item.reason.text_zh, item.reason.text_en)}</p>}
      {item.outcome !== 'refused' && (
        <p class="muted">{item.measurable ? t('upload.measurable', { leads: item.leads?.length ?? 0, hz: Math.round(item.sampling_rate_hz ?? 0), s: (item.duration_s ?? 0).toFixed(1) }) : <Tag tone="warn" icon="doc">{t('upload.document')}</Tag>}
          {' '}{item.measurable && (reading.data ? <Reading analysis={reading.data} /> : !reading.error && t('upload.reading'))} {uid && <a href={`/study/${uid}`}>{t('upload.see')}</a>}</p>
      )}
      {reading.data && <GateNote gate={reading.data.acquisition} />}
      {item.warnings?.map((warning) => <p class="muted" key={warning}>{warning}</p>)}
    </li>
  );
}

function Reading({ analysis }: { analysis: EcgAnalysis }) {
  const rhythm = `rhythm.${analysis.rhythm}`;
  const rate = analysis.measurements.heart_rate_bpm;
  return (
    <>
      {rhythm in dictionary ? t(rhythm as Key) : analysis.rhythm}{typeof rate === 'number' && ` ${Math.round(rate)} bpm`}{' '}
      {analysis.critical.map((c) => <Tag key={c.rule} tone="crit" icon="alert">{pick(c.text_zh, c.text_en)}</Tag>)}
    </>
  );
}
