// The other tabs of the report panel: request, priors, measurements, signed versions.
import { useState } from 'preact/hooks';
import { get } from '../api/client';
import { url } from '../api/paths';
import type { Page, PriorStudy, Report, ReportVersion, SignedReport, Study } from '../api/types';
import { t, type Key } from '../i18n';
import { date, dateTime, institution, person } from '../lib/format';
import { useResource } from '../lib/hooks';
import type { Measurement } from '../viewer/measurements';
import { scopeText } from '../recognition/validity';
import { Empty, HrMark, Icon, Mod, Tag } from '../ui/base';
import { ErrorNote, Skeleton } from '../ui/states';
import { StatusTag } from '../ui/status';

export function RequestTab({ study }: { study: Study }) {
  const order = (study.order ?? {}) as Record<string, unknown>;
  const row = (label: string, value: unknown) => (value ? <><dt>{label}</dt><dd>{String(value)}</dd></> : null);
  return (
    <div class="rbody">
      <dl class="kv">
        {row(t('field.patient'), study.patient.name)}
        {row(t('field.identifier'), study.patient.identifier)}
        {row(t('field.nationalId'), study.patient.national_id_masked)}
        {row(t('field.birthDate'), date(study.patient.birth_date))}
        {row(t('field.accession'), study.accession_number)}
        {row(t('field.exam'), `${study.modality} ${study.item_name}`)}
        {row(t('field.institution'), institution(study.institution))}
        {row(t('worklist.preview.request'), dateTime(study.requested_at))}
        {row(t('report.history'), study.clinical_history ?? order.clinical_history)}
        {row(t('worklist.preview.received'), dateTime(study.received_at))}
      </dl>
    </div>
  );
}

export function PriorsTab({ priors }: { priors: readonly PriorStudy[] }) {
  if (priors.length === 0) return <div class="rbody"><Empty icon="history" text={t('worklist.preview.noPriors')} /></div>;
  return (
    <div class="rbody">
      {priors.map((p) => (
        <div class="card pcard" key={p.study_uid}>
          <div class="row"><Mod>{p.modality}</Mod><b class="ell">{p.item_name}</b><span class="faint end nowrap">{date(p.study_at)}</span></div>
          <p class="muted">{institution(p.institution)}</p>
          {p.impression && <p class="pre">{p.impression}</p>}
          <a href={`/study/${p.study_uid}`}>{t('report.openPrior')}</a>
        </div>
      ))}
    </div>
  );
}

export function MeasurementTab({ list, onInsert, onDelete }: { list: readonly Measurement[]; onInsert: (m: Measurement) => void; onDelete?: (id: string) => void }) {
  if (list.length === 0) return <div class="rbody"><Empty icon="ruler" text={t('report.noMeasurements')} /></div>;
  return (
    <div class="rbody">
      {list.map((m) => (
        <div class="meas" key={m.id}>
          <Icon name="ruler" size="s" />
          <span>{t(`measure.${m.tool}` as Key)} <b data-testid="measurement">{m.text}</b> <span class="faint">{m.image ? `Im ${m.image}` : ''}</span></span>
          <span class="end row"><button type="button" class="btn quiet" onClick={() => onInsert(m)}>{t('report.insert')}</button><button type="button" class="btn quiet" onClick={() => onDelete?.(m.id)}>{t('report.delete')}</button></span>
        </div>
      ))}
    </div>
  );
}

export function VersionsTab({ study, report }: { study: Study; report: Report | null }) {
  const signed = !!report?.current_version;
  const list = useResource(signed ? `${study.study_uid}#${report?.current_version}` : null, () => get<Page<ReportVersion>>(url('reportVersions', { uid: study.study_uid })));
  const [open, setOpen] = useState<number | null>(null);
  const detail = useResource(open ? `${study.study_uid}#v${open}` : null, () => get<SignedReport>(url('reportVersion', { uid: study.study_uid, version: open ?? 1 })));
  return (
    <div class="rbody">
      {report && <p class="row"><StatusTag status={report.status} />{study.hr_mark && <HrMark text={scopeText(study.hr_mark.scope)} />}</p>}
      {!signed && <Empty icon="shield" text={t('version.none')} />}
      {list.error && <ErrorNote error={list.error} onRetry={() => void list.reload()} />}
      {list.loading && !list.data && <Skeleton rows={2} />}
      {list.data?.items.map((v) => (
        <div class="card pcard" key={v.version}>
          <div class="row"><b>{t('version.title', { n: v.version })}</b><Tag tone={v.kind === 'original' ? 'ok' : 'warn'}>{t(`amend.${v.kind}`)}</Tag><span class="faint end nowrap">{dateTime(v.signed_at)}</span></div>
          <p class="muted">{t('sign.by', { author: person(v.author), signer: person(v.signer) })}</p>
          {open === v.version && detail.data ? (
            <>
              <p class="pre">{detail.data.text || `${detail.data.findings}\n${detail.data.impression}`}</p>
              {detail.data.reason && <p class="muted">{t('amend.reason')}: {detail.data.reason}</p>}
              <dl class="kv"><dt>{t('version.hash')}</dt><dd class="mono ell">{v.sha256}</dd>{detail.data.verify_code && <><dt>{t('version.verify')}</dt><dd><a href={`/verify/${detail.data.verify_code}`}>{detail.data.verify_code}</a></dd></>}</dl>
            </>
          ) : <button type="button" class="btn quiet" onClick={() => setOpen(v.version)}>{t('act.open')}</button>}
        </div>
      ))}
    </div>
  );
}
