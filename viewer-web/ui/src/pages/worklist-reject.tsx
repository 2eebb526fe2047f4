import { useState } from 'preact/hooks';
import { rejectStudy } from '../api/actions';
import { ApiError } from '../api/client';
import type { WorklistItem } from '../api/types';
import { t, type Key } from '../i18n';
import { Note } from '../ui/base';
import { Dialog } from '../ui/dialog';
import { reasonOf } from '../ui/states';
import { say } from '../ui/toast';

const REASONS = ['positioning', 'exposure', 'motion', 'artifact', 'wrong_side', 'wrong_patient', 'incomplete', 'other'];
const ECG_REASONS = ['lead_reversal', 'artifact', 'wrong_patient', 'other'];

export function RejectDialog({ item, onClose, onDone }: { item: WorklistItem; onClose: () => void; onDone: () => void }) {
  const codes = item.has_waveform ? ECG_REASONS : REASONS;
  const [code, setCode] = useState('');
  const [note, setNote] = useState('');
  const [error, setError] = useState('');
  const missing = !code || (code === 'other' && !note.trim());
  const go = async () => {
    try {
      await rejectStudy(item.study_uid, code, note.trim());
      say(t('worklist.reject.done', { name: item.patient.name }));
      onDone();
    } catch (cause) {
      setError(cause instanceof ApiError ? reasonOf(cause) : String(cause));
    }
  };
  return (
    <Dialog title={t('worklist.reject')} lead={t('worklist.reject.lead')} go={t('worklist.reject.go')} disabled={missing} onClose={onClose} onGo={go}>
      <p><b>{item.patient.name}</b> <span class="muted">{item.modality} {item.item_name}</span></p>
      <fieldset class="why two"><legend>{t('field.reason')}</legend>
        {codes.map((c) => <label key={c}><input type="radio" name="reject" checked={code === c} onChange={() => setCode(c)} /><span>{t(`reject.${c}` as Key)}</span></label>)}
      </fieldset>
      <div class="field"><label for="reject-note">{t('field.note')}</label><textarea id="reject-note" class="in" value={note} onInput={(e) => setNote(e.currentTarget.value)} /></div>
      {error && <Note tone="warn" title={error} />}
    </Dialog>
  );
}
