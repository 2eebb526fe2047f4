// An ECG that came as a report: shown as it is, measured by nothing, reported as usual.
import { t } from '../i18n';
import { useResource } from '../lib/hooks';
import { ReportPanel } from '../report/panel';
import type { RoomProps } from '../study/room';
import { Icon, Note } from '../ui/base';
import { ErrorNote, NetTag, Skeleton } from '../ui/states';
import { ecgFiles } from './data';
import '../styles/ecg.css';

const KIB = 1024;

export default function DocumentRoom(p: RoomProps) {
  const uid = p.study.study_uid;
  const files = useResource(uid, () => ecgFiles(uid));
  const shown = files.data?.find((file) => file.media_type === 'application/pdf');
  return (
    <>
      <nav class="tools ecgtools" aria-label={t('ecg.files')}>
        {files.data?.map((file) => <a key={file.url} class="btn" href={file.url} target="_blank" rel="noopener"><Icon name="doc" />{t('ecg.document.open')} {file.name} <span class="faint">{Math.ceil(file.bytes / KIB)} KB</span></a>)}
        <span class="end" />
      </nav>
      <main class="room ecgroom">
        <section class="desk" tabindex={-1} aria-label={t('ecg.files')}>
          <Note tone="warn" icon="doc" title={t('ecg.document')}>{t('ecg.document.why')}</Note>
          {files.error && <ErrorNote error={files.error} onRetry={() => void files.reload()} />}
          {!files.data && !files.error && <Skeleton rows={5} />}
          {shown && <iframe class="docframe" src={shown.url} title={shown.name} />}
        </section>
        <ReportPanel study={p.study} store={p.store} kind="ecg" dialog={p.dialog} onDialog={p.onDialog} onChanged={p.onChanged} onNext={p.onNext} />
      </main>
      <footer class="stat"><NetTag /></footer>
    </>
  );
}
