// Recognise a study of another institution, or say with one of six reasons why not.
import { useState } from 'preact/hooks';
import { decideRecognition, recognitionReasons } from '../api/actions';
import { ApiError } from '../api/client';
import type { TimelineItem } from '../api/types';
import { pick, t } from '../i18n';
import { dateTime, institution } from '../lib/format';
import { useResource } from '../lib/hooks';
import { HrMark, Note } from '../ui/base';
import { Dialog } from '../ui/dialog';
import { ErrorNote, reasonOf } from '../ui/states';
import { say } from '../ui/toast';
import { validity } from './validity';

interface Props { item: TimelineItem; onClose: () => void; onDone: () => void }

function useDecision(item: TimelineItem, onDone: () => void) {
  const [error, setError] = useState('');
  const [busy, setBusy] = useState(false);
  const decide = async (decision: 'recognised' | 'refused', reason?: string, note?: string) => {
    setBusy(true);
    setError('');
    try {
      await decideRecognition(item.study_uid, decision, reason, note);
      say(t(`recognition.done.${decision}`));
      onDone();
    } catch (cause) {
      setError(cause instanceof ApiError ? reasonOf(cause) : String(cause));
    }
    setBusy(false);
  };
  return { error, busy, decide };
}

const Exam = ({ item }: { item: TimelineItem }) => <><b>{item.item_name}</b> {institution(item.institution)} {dateTime(item.at)}</>;

export function RecogniseDialog({ item, onClose, onDone }: Props) {
  const { error, busy, decide } = useDecision(item, onDone);
  const left = validity(item);
  return (
    <Dialog title={t('recognition.recognise.title')} lead={t('recognition.recognise.lead')} go={t('recognition.recognise.go')} disabled={busy} onClose={onClose} onGo={() => decide('recognised')}>
      <dl class="kv">
        <dt>{t('field.exam')}</dt><dd><Exam item={item} /></dd>
        <dt>{t('recognition.scope')}</dt><dd>{left ? <HrMark text={left} /> : <HrMark text={t('hr.county')} />}</dd>
        {item.impression && <><dt>{t('timeline.impression')}</dt><dd class="pre">{item.impression}</dd></>}
      </dl>
      {error && <Note tone="warn" title={error} />}
    </Dialog>
  );
}

export function RefuseDialog({ item, onClose, onDone }: Props) {
  const reasons = useResource('reasons', () => recognitionReasons());
  const [code, setCode] = useState('');
  const [note, setNote] = useState('');
  const { error, busy, decide } = useDecision(item, onDone);
  const needsNote = /other/i.test(code);
  const missing = !code || (needsNote && !note.trim());
  return (
    <Dialog title={t('recognition.refuse.title')} lead={<><Exam item={item} /><br />{t('recognition.refuse.lead')}</>} go={t('recognition.refuse.go')} disabled={busy || missing} onClose={onClose} onGo={() => decide('refused', code, note.trim())}>
      {reasons.error && <ErrorNote error={reasons.error} onRetry={() => void reasons.reload()} />}
      <fieldset class="why"><legend class="sr">{t('field.reason')}</legend>
        {reasons.data?.map((r) => <label key={r.code}><input type="radio" name="refuse-reason" value={r.code} checked={code === r.code} onChange={() => setCode(r.code)} /><span>{pick(r.text_zh, r.text_en)}</span></label>)}
      </fieldset>
      <div class="field"><label for="refuse-note">{t('field.note')} <span class="faint">{t('recognition.refuse.other')}</span></label><textarea id="refuse-note" class="in" rows={2} value={note} onInput={(e) => setNote(e.currentTarget.value)} /></div>
      {error && <Note tone="warn" title={error} />}
    </Dialog>
  );
}
