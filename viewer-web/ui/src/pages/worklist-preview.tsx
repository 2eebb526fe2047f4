// What the reader wants to know before opening: images, history, priors, completeness.
import type { Study, WorklistItem } from '../api/types';
import { GateNote } from '../ecg/acquisition';
import { t } from '../i18n';
import { age, date, institution, sex, shortTime, time } from '../lib/format';
import { useResource } from '../lib/hooks';
import { prefetchStudy } from '../lib/study-cache';
import { priorsOf } from '../lib/study';
import { Empty, Icon, Mod, Note, Tag } from '../ui/base';
import { ErrorNote, PriorityTag, Skeleton } from '../ui/states';
import { mayRead } from './worklist';


interface Props { item: WorklistItem | null; fetchedAt: number; onOpen: (item: WorklistItem) => void; onReject: () => void }

export function Preview({ item, onOpen, onReject }: Props) {
  const detail = useResource(item?.study_uid ?? null, () => prefetchStudy(item?.study_uid ?? ''));
  if (!item) return <Empty icon="list" text={t('worklist.preview.choose')} />;
  const held = item.claimed_by && !item.claimed_by.mine ? item.claimed_by : null;
  const writable = mayRead() && !held && item.status !== 'signed' && item.status !== 'amended';
  return (
    <>
      <div class="blk">
        <div class="row"><h2 class="big">{item.patient.name}</h2><span class="muted">{sex(item.patient.sex)} {age(item.patient.age_text, item.patient.birth_date)}</span><span class="end"><PriorityTag priority={item.priority} strong /></span></div>
        <p class="muted under">{item.modality} {item.item_name} <span class="nowrap mono">{item.accession_number}</span></p>
        {held && <p class="under"><Tag tone="info" icon="lock">{t('worklist.held', { name: held.display_name, time: time(held.since) })}</Tag></p>}
      </div>
      {item.machine_flags?.filter((f) => f.critical).map((flag) => <div class="blk" key={flag.code}><Note tone="crit" title={flag.text_zh}>{t('machine.unconfirmed')}</Note></div>)}
      {item.acquisition && item.acquisition.verdict !== 'ok' && <div class="blk"><GateNote gate={item.acquisition} /></div>}
      <Detail item={item} study={detail.data} />
      {detail.error && <div class="blk"><ErrorNote error={detail.error} onRetry={() => void detail.reload()} /></div>}
      {!detail.data && !detail.error && <Skeleton rows={3} />}
      <div class="act">
        {(detail.data ? detail.data.permissions.includes('reject') : false) ? <button type="button" class="btn" onClick={onReject}>{t('worklist.reject')}</button> : <span />}
        <button type="button" class="btn primary" onClick={() => onOpen(item)}><Icon name={writable ? 'pen' : 'eye'} />{writable ? t('worklist.claimOpen') : t('worklist.open')}</button>
      </div>
    </>
  );
}

function Detail({ item, study }: { item: WorklistItem; study: Study | undefined }) {
  const priors = study ? priorsOf(study) : [];
  return (
    <>
      {study && study.series_list.length > 0 && (
        <div class="blk">
          <h3>{t('worklist.preview.images')} <span class="faint">{t('worklist.preview.count', { series: study.series_list.length, images: item.images })}</span></h3>
          <div class="thumbs">{study.series_list.filter((s) => s.thumbnail).slice(0, 4).map((s) => <img key={s.series_uid} src={s.thumbnail ?? ''} alt={s.description ?? s.modality} loading="lazy" />)}</div>
        </div>
      )}
      <div class="blk">
        <h3>{t('worklist.preview.history')}</h3>
        <dl class="kv">
          <dt>{t('worklist.preview.complaint')}</dt><dd>{study?.clinical_history || item.clinical_history || <span class="faint">{t('worklist.preview.noHistory')}</span>}</dd>
          <dt>{t('worklist.preview.request')}</dt><dd>{institution(item.institution)} {shortTime(item.requested_at)}</dd>
        </dl>
      </div>
      <div class="blk">
        <h3>{t('worklist.preview.priors')} <span class="faint">{item.priors || ''}</span></h3>
        {study && priors.length === 0 && <p class="faint">{t('worklist.preview.noPriors')}</p>}
        <div class="priorlist">{priors.slice(0, 4).map((p) => <a key={p.study_uid} class="prior" href={`/study/${p.study_uid}`}><Mod>{p.modality}</Mod><span class="ell">{p.item_name} · {institution(p.institution)}</span><span class="faint">{date(p.study_at)}</span></a>)}</div>
      </div>
      <div class="blk">
        <h3>{t('worklist.preview.arrival')}</h3>
        <dl class="kv">
          <dt>{t('worklist.preview.received')}</dt><dd>{t('worklist.preview.count', { series: item.series, images: item.images })} {shortTime(item.received_at)}</dd>
          <dt>{t('worklist.preview.matched')}</dt><dd>{item.matched ? <Tag tone="ok" icon="check">{t('worklist.preview.matchedYes')}</Tag> : <Tag tone="warn" icon="link">{t('worklist.preview.matchedNo')}</Tag>}</dd>
        </dl>
      </div>
    </>
  );
}
