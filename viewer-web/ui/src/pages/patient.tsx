// Timeline of one person across institutions: what exists, what may be recognised, the originals one step away.
import { useState } from 'preact/hooks';
import { get } from '../api/client';
import { url } from '../api/paths';
import type { Timeline, TimelineItem } from '../api/types';
import { t } from '../i18n';
import { age, date, institution, sex } from '../lib/format';
import { useResource } from '../lib/hooks';
import { RecogniseDialog, RefuseDialog } from '../recognition/dialogs';
import { hasRole, may, session } from '../session';
import { Empty, Icon } from '../ui/base';
import { Shell } from '../ui/shell';
import { ErrorNote, Skeleton } from '../ui/states';
import { TimelineDetail } from './patient-detail';
import { TimelineList } from './patient-list';
import '../styles/patient.css';

type Kind = 'all' | 'images' | 'ecg' | 'recognisable';

/** Another institution's study whose result counts, and that this account may decide on. */
export const decidable = (item: TimelineItem): boolean =>
  item.recognisable && (item.permissions ? item.permissions.includes('recognition.decide') : may('recognition.decide') || hasRole('clinician')) && item.institution.code !== session.value?.institution.code;

export default function PatientPage({ id }: { id: string }) {
  const address = url('timeline', { id });
  const timeline = useResource(address, (signal) => get<Timeline>(address, { signal }));
  const [kind, setKind] = useState<Kind>('all');
  const [chosen, setChosen] = useState<string | null>(null);
  const [dialog, setDialog] = useState<{ kind: 'recognise' | 'refuse'; item: TimelineItem } | null>(null);
  const patient = timeline.data?.patient;
  const all = [...(timeline.data?.items ?? [])].sort((a, b) => b.at.localeCompare(a.at));
  const filters: Record<Kind, TimelineItem[]> = { all, images: all.filter((i) => !i.has_waveform), ecg: all.filter((i) => i.has_waveform), recognisable: all.filter((i) => i.recognisable) };
  const shown = filters[kind];
  const phone = matchMedia('(max-width: 640px)').matches;
  const selected = all.find((i) => i.study_uid === chosen) ?? (phone ? null : (shown[0] ?? null));
  const offer = all.find((i) => decidable(i) && !(i.recognition ?? []).some((r) => r.institution.code === session.value?.institution.code)) ?? null;
  const closed = (reload: boolean) => {
    setDialog(null);
    if (reload) void timeline.reload();
  };
  return (
    <Shell page="patients" title={patient?.name ?? t('patients.title')} className="pt">
      <section class="phead">
        <a class="btn quiet icon" href="/patients" aria-label={t('act.back')} title={t('act.back')}><Icon name="back" /></a>
        <h1>{patient?.name ?? ' '}</h1>
        {patient && (
          <div class="meta"><span>{sex(patient.sex)}</span><span>{age(patient.age_text, patient.birth_date)}</span><span class="opt">{date(patient.birth_date)}</span>{patient.national_id_masked && <span class="mono opt">{t('field.nationalId')} {patient.national_id_masked}</span>}
            {patient.identifiers?.slice(0, 3).map((i) => <span class="opt faint" key={i.identifier}>{institution(i.institution)} {i.identifier}</span>)}</div>
        )}
      </section>
      {timeline.error && <div class="page"><ErrorNote error={timeline.error} onRetry={() => void timeline.reload()} /></div>}
      {offer && (
        <div class="note hr dup" role="status">
          <Icon name="history" />
          <div class="grow"><strong>{t('timeline.beforeOrder', { item: `${offer.modality} ${offer.item_name}` })}</strong><br /><span class="muted">{t('timeline.beforeOrder.more', { date: date(offer.at), place: institution(offer.institution) })}</span></div>
          <button type="button" class="btn" data-testid="refuse" onClick={() => setDialog({ kind: 'refuse', item: offer })}>{t('recognition.refuse')}</button>
          <button type="button" class="btn primary" data-testid="recognise" onClick={() => setDialog({ kind: 'recognise', item: offer })}>{t('recognition.recognise')}</button>
        </div>
      )}
      <div class="cols">
        <section class="card tlb" aria-label={t('timeline.title')}>
          <div class="ft" role="group" aria-label={t('timeline.tabs')}>
            {(['all', 'images', 'ecg', 'recognisable'] as const).map((k) => <button type="button" key={k} class={`chip ${kind === k ? 'on' : ''}`} aria-pressed={kind === k} onClick={() => setKind(k)}>{t(`timeline.${k}`)} {filters[k].length}</button>)}
            <span class="end faint nowrap">{t('timeline.across', { n: new Set(all.map((i) => i.institution.code)).size })}</span>
          </div>
          <div class="list" tabindex={-1}>
            {!timeline.data && !timeline.error && <Skeleton rows={6} />}
            {timeline.data && shown.length === 0 && <Empty icon="history" text={t('timeline.empty')} />}
            <TimelineList items={shown} selected={selected?.study_uid ?? null} onSelect={setChosen} />
          </div>
        </section>
        <section class={`card det ${chosen ? 'open' : ''}`} aria-label={t('field.exam')}>
          {selected ? <TimelineDetail item={selected} primary={!offer || offer.study_uid !== selected.study_uid} onBack={() => setChosen(null)} onRecognise={() => setDialog({ kind: 'recognise', item: selected })} onRefuse={() => setDialog({ kind: 'refuse', item: selected })} /> : <Empty icon="img" text={t('timeline.choose')} />}
        </section>
      </div>
      {dialog?.kind === 'recognise' && <RecogniseDialog item={dialog.item} onClose={() => closed(false)} onDone={() => closed(true)} />}
      {dialog?.kind === 'refuse' && <RefuseDialog item={dialog.item} onClose={() => closed(false)} onDone={() => closed(true)} />}
    </Shell>
  );
}

