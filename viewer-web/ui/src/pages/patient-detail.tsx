// One study of the timeline: pictures, text, record of recognition, and what may be done.
import { url } from '../api/paths';
import type { TimelineItem } from '../api/types';
import { t } from '../i18n';
import { dateTime, institution, person, shortTime } from '../lib/format';
import { useResource } from '../lib/hooks';
import { prefetchStudy } from '../lib/study-cache';
import { isFinal } from '../lib/study';
import { Icon, Mod } from '../ui/base';
import { decidable } from './patient';
import { Mark } from './patient-list';

interface Props { item: TimelineItem; primary: boolean; onBack: () => void; onRecognise: () => void; onRefuse: () => void }

export function TimelineDetail({ item, primary, onBack, onRecognise, onRefuse }: Props) {
  const study = useResource(item.study_uid, () => prefetchStudy(item.study_uid));
  const may = decidable(item);
  return (
    <>
      <header>
        <button type="button" class="btn quiet icon onlyphone" aria-label={t('act.back')} onClick={onBack}><Icon name="back" /></button>
        <Mod>{item.modality}</Mod><h2>{item.item_name}</h2><span class="muted ell">{institution(item.institution)} {dateTime(item.at)}</span><span class="end"><Mark item={item} /></span>
      </header>
      <div class="sc" tabindex={-1}>
        {study.data && !item.has_waveform && (
          <div class="imgs">
            {study.data.series_list.filter((s) => s.thumbnail).slice(0, 4).map((s) => (
              <figure key={s.series_uid}><a href={`/study/${item.study_uid}`}><img src={s.thumbnail ?? ''} alt={s.description || s.modality} loading="lazy" /></a><figcaption>{s.description || s.modality} {s.frames || s.instances}</figcaption></figure>
            ))}
          </div>
        )}
        <div class="rtext"><h3>{t('timeline.impression')}</h3>{item.impression ? <p class="pre strong">{item.impression}</p> : <p class="faint">{t('timeline.noReport')}</p>}</div>
        <dl class="kv">
          <dt>{t('field.institution')}</dt><dd>{institution(item.institution)}</dd>
          {item.reading_institution && <><dt>{t('timeline.readBy')}</dt><dd>{institution(item.reading_institution)}</dd></>}
          {item.report_version && <><dt>{t('timeline.version')}</dt><dd>{t('timeline.versionN', { n: item.report_version })}</dd></>}
          {study.data?.author && <><dt>{t('report.author')}</dt><dd>{person(study.data.author)}</dd></>}
          {study.data?.signer && <><dt>{t('report.reviewer')}</dt><dd>{person(study.data.signer)}</dd></>}
          {study.data?.accession_number && <><dt>{t('field.accession')}</dt><dd class="mono">{study.data.accession_number}</dd></>}
        </dl>
        <div><h3>{t('timeline.record')}</h3>
          {(item.recognition ?? []).length === 0 && <p class="faint">{t('timeline.noRecord')}</p>}
          {item.recognition?.map((r) => <p key={r.at}>{t('recognition.by', { time: shortTime(r.at), name: person(r.by), place: institution(r.institution), decision: t(r.decision === 'recognised' ? 'recognition.recognised' : 'recognition.refused') })}{r.note && <span class="muted"> {r.note}</span>}</p>)}
        </div>
      </div>
      <div class="dact">
        <a class="btn" href={`/study/${item.study_uid}`}><Icon name={item.has_waveform ? 'heart' : 'img'} />{t(item.has_waveform ? 'timeline.openEcg' : 'timeline.openImages')}</a>
        {isFinal(item.status) && <a class="btn opt" href={url('reportPdf', { uid: item.study_uid })} target="_blank" rel="noopener"><Icon name="doc" />{t('timeline.pdf')}</a>}
        <span class="end" />
        {may && <button type="button" class="btn" data-testid="refuse" onClick={onRefuse}>{t('recognition.refuse')}</button>}
        {may && <button type="button" class={`btn ${primary ? 'primary' : ''}`} data-testid="recognise" onClick={onRecognise}><Icon name="check" />{t('recognition.recognise')}</button>}
      </div>
    </>
  );
}
