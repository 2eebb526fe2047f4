// Series of this study and, on demand, of priors.
import type { SeriesItem, Study } from '../api/types';
import { t } from '../i18n';
import { date, institution, shortTime } from '../lib/format';
import { priorsOf } from '../lib/study';
import { scopeText } from '../recognition/validity';
import { HrMark, Icon } from '../ui/base';

interface Props { study: Study; priors: ReadonlyMap<string, Study>; shown: readonly (string | undefined)[]; onShow: (study: Study, series: SeriesItem) => void; onLoadPrior: (uid: string) => void }

function SeriesButton({ series, shown, prior, onShow }: { series: SeriesItem; shown: boolean; prior: boolean; onShow: () => void }) {
  return (
    <button type="button" class={`ser ${shown ? (prior ? 'on2' : 'on') : ''}`} data-testid="series-thumbnail" data-series-uid={series.series_uid} aria-pressed={shown} onClick={onShow}>
      {series.thumbnail ? <img src={series.thumbnail} alt="" loading="lazy" /> : <span class="lazy"><Icon name="img" size="l" /></span>}
      <span class="sn">{series.number}</span>
      <b class="ell">{series.description || series.modality}</b>
      <span>{t('unit.images', { n: series.frames || series.instances })}</span>
    </button>
  );
}

export function Strip({ study, priors, shown, onShow, onLoadPrior }: Props) {
  const list = priorsOf(study);
  return (
    <aside class="strip" aria-label={t('viewer.series')}>
      <h2>{t('viewer.current')} <span class="faint">{shortTime(study.study_at)}</span></h2>
      {study.series_list.filter((s) => s.kind === 'image').map((s) => <SeriesButton key={s.series_uid} series={s} shown={shown.includes(s.series_uid)} prior={false} onShow={() => onShow(study, s)} />)}
      {study.series_list.every((s) => s.kind !== 'image') && <p class="faint">{t('viewer.noImages')}</p>}
      {list.length > 0 && <h2>{t('viewer.priors')}</h2>}
      {list.map((p) => {
        const detail = priors.get(p.study_uid);
        if (!detail) {
          return (
            <button type="button" key={p.study_uid} class="ser" onClick={() => onLoadPrior(p.study_uid)} title={institution(p.institution)}>
              <span class="lazy"><Icon name="img" size="l" /></span><b class="ell">{p.modality} {date(p.study_at)}</b><span class="ell">{t('viewer.tapToLoad')}</span>
            </button>
          );
        }
        return (
          <div class="priorgroup" key={p.study_uid}>
            <h3>{date(p.study_at)} {detail.hr_mark && <HrMark text={scopeText(detail.hr_mark.scope)} />}</h3>
            {detail.series_list.filter((s) => s.kind === 'image').map((s) => <SeriesButton key={s.series_uid} series={s} shown={shown.includes(s.series_uid)} prior onShow={() => onShow(detail, s)} />)}
          </div>
        );
      })}
    </aside>
  );
}
