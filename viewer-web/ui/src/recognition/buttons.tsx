// Recognise or refuse from the reading page, for a clinician who has looked at the originals.
import { useState } from 'preact/hooks';
import type { Study, TimelineItem } from '../api/types';
import { t } from '../i18n';
import { session } from '../session';
import { Icon } from '../ui/base';
import { RecogniseDialog, RefuseDialog } from './dialogs';

/** The study as the dialogs know it from a timeline. */
export const asTimelineItem = (study: Study, impression: string): TimelineItem => ({
  study_uid: study.study_uid, at: study.study_at ?? study.received_at, modality: study.modality, item_name: study.item_name, item_code: study.item_code, institution: study.institution, status: study.status, impression, hr_mark: study.hr_mark, recognisable: true, images: study.images, has_waveform: study.has_waveform,
});

export function RecognitionButtons({ study, impression, onChanged }: { study: Study; impression: string; onChanged: () => Promise<void> }) {
  const [open, setOpen] = useState<'recognise' | 'refuse' | null>(null);
  const own = study.institution.code === session.value?.institution.code;
  if (own || !study.hr_mark || !study.permissions.includes('recognise')) return null;
  const item = asTimelineItem(study, impression);
  const done = () => {
    setOpen(null);
    void onChanged();
  };
  return (
    <>
      <button type="button" class="btn" data-testid="refuse" onClick={() => setOpen('refuse')}>{t('recognition.refuse')}</button>
      <button type="button" class="btn" data-testid="recognise" onClick={() => setOpen('recognise')}><Icon name="check" />{t('recognition.recognise')}</button>
      {open === 'recognise' && <RecogniseDialog item={item} onClose={() => setOpen(null)} onDone={done} />}
      {open === 'refuse' && <RefuseDialog item={item} onClose={() => setOpen(null)} onDone={done} />}
    </>
  );
}
