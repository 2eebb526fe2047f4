import { useState } from 'preact/hooks';
import { rejectReasons, rejectStudy } from '../api/actions';
import { ApiError } from '../api/client';
import type { WorklistItem } from '../api/types';
import { pick, t } from '../i18n';
import { useResource } from '../lib/hooks';
import { Note } from '../ui/base';
import { Dialog } from '../ui/dialog';
import { ErrorNote, reasonOf } from '../ui/states';
import { say } from '../ui/toast';

export function RejectDialog({ item, onClose, onDone }: { item: WorklistItem; onClose: () => void; onDone: () => void }) {
  const reasons = useResource('reject', () => rejectReasons());
  const [code, setCode] = useState('');
  const [note, setNote] = useState('');
  const [error, setError] = useState('');
  const missing = !code;
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
      {reasons.error && <ErrorNote error={reasons.error} onRetry={() => void reasons.reload()} />}
      <fieldset class="why two"><legend>{t('field.reason')}</legend>
        {reasons.data?.map((r) => <label key={r.code}><input type="radio" name="reject" checked={code === r.code} onChange={() => setCode(r.code)} /><span>{pick(r.text_zh, r.text_en)}</span></label>)}
      </fieldset>
      <div class="field"><label for="reject-note">{t('field.note')}</label><textarea id="reject-note" class="in" value={note} onInput={(e) => setNote(e.currentTarget.value)} /></div>
      {error && <Note tone="warn" title={error} />}
    </Dialog>
  );
}
