// Buttons under the report; exactly one filled button is the next step, and a disabled one says why.
import { online } from '../api/client';
import { url } from '../api/paths';
import type { Study } from '../api/types';
import { t } from '../i18n';
import { isFinal } from '../lib/study';
import { RecognitionButtons } from '../recognition/buttons';
import { may, session } from '../session';
import { Icon } from '../ui/base';
import type { DialogName } from './dialogs';
import type { ReportStore } from './store';

interface Props { study: Study; store: ReportStore; onSubmit: (next: boolean) => Promise<void>; onDialog: (name: DialogName) => void; onChanged: () => Promise<void> }

/** Why signing is off; empty when it may be done. */
export function signReason(study: Study, store: ReportStore): string {
  if (!online.value) return t('report.offlineSign');
  const author = store.report.value?.author ?? study.author;
  if (author && author.user === session.value?.user && session.value?.double_signature !== false) return t('report.ownReport');
  const holder = study.claimed_by;
  if (holder && !holder.mine) return t('report.readonly.held', { name: holder.display_name });
  if (!study.permissions.includes('sign')) return t('report.claimToSign');
  return '';
}

export function Actions({ study, store, onSubmit, onDialog, onChanged }: Props) {
  const report = store.report.value;
  if (!report) return null;
  const can = (name: string) => study.permissions.includes(name);
  if (isFinal(report.status)) {
    return (
      <>
        <RecognitionButtons study={study} impression={report.impression} onChanged={onChanged} />
        {can('share') && <button type="button" class="btn" onClick={() => onDialog('share')}><Icon name="send" />{t('report.share')}</button>}
        {can('amend') && report.status !== 'revoked' && <button type="button" class="btn" onClick={() => onDialog('amend')}><Icon name="pen" />{t('report.amend')}</button>}
        <a class="btn primary" href={url('reportPdf', { uid: study.study_uid })} target="_blank" rel="noopener"><Icon name="doc" />{t('report.pdf')}</a>
      </>
    );
  }
  const reviewing = report.status === 'submitted';
  const save = store.editable.value && <button type="button" class="btn" data-testid="report-save" onClick={() => void store.save()}>{t('report.save')}</button>;
  if (reviewing && (can('sign') || can('return') || may('report.sign'))) {
    const why = signReason(study, store);
    return (
      <>
        {save}
        <button type="button" class="btn" data-testid="report-return" disabled={!can('return') && !!why} title={why} onClick={() => onDialog('return')}><Icon name="back" />{t('report.return')}</button>
        <button type="button" class="btn primary" data-testid="report-sign" disabled={!!why} title={why} onClick={() => onDialog('sign')}><Icon name="shield" />{t('report.sign')}</button>
      </>
    );
  }
  if (reviewing || !store.editable.value) return null;
  return (
    <>
      {save}
      <button type="button" class="btn primary" data-testid="report-submit" onClick={() => void onSubmit(false)}>{t('report.submit')}<kbd>Ctrl ↵</kbd></button>
    </>
  );
}
