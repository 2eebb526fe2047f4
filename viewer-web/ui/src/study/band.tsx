// Patient band: who, how urgent, how much time is left, who holds the study. The same place on every reading page.
import type { Study } from '../api/types';
import { t } from '../i18n';
import { age, dateTime, duration, institution, sex, shortTime, time } from '../lib/format';
import { now } from '../lib/hooks';
import { neighbour, place } from '../lib/reading-list';
import { isFinal } from '../lib/study';
import { waiting } from '../lib/worklist';
import { scopeText } from '../recognition/validity';
import { may } from '../session';
import { HrMark, Icon, Mod, Tag } from '../ui/base';
import { LanguageSwitch } from '../ui/language';
import { PriorityTag } from '../ui/states';
import { StatusTag } from '../ui/status';
import { useRef } from 'preact/hooks';

interface Props { study: Study; onClaim: () => void; onRelease: () => void; onCritical: () => void }

function Clock({ study }: { study: Study }) {
  const fetched = useRef({ study, at: Date.now() });
  if (fetched.current.study !== study) fetched.current = { study, at: Date.now() };
  const wait = waiting(study, fetched.current.at, now.value);
  return (
    <div class="clock" title={`${t('study.goal')} ${duration(wait.goal_s)}`}>
      <div class={`bar ${wait.tone || 'ok'}`}><i style={{ width: `${Math.min(100, wait.share * 100)}%` }} /></div>
      <span class={wait.tone}>{wait.over_s >= 0 ? <b>{t('wait.over', { t: duration(wait.over_s) })}</b> : <><b>{duration(wait.waited_s)}</b> / {duration(wait.goal_s)}</>}</span>
    </div>
  );
}

function ClaimButton({ study, onClaim, onRelease }: Props) {
  const holder = study.claimed_by;
  if (isFinal(study.status)) return null;
  if (holder?.mine) {
    return (
      <>
        <button type="button" class="btn" data-testid="claim" disabled aria-pressed="true" title={t('study.mineHint')}><Icon name="lock" />{t('study.mine')}</button>
        <button type="button" class="btn quiet opt" onClick={onRelease}>{t('study.release')}</button>
      </>
    );
  }
  if (holder) return <button type="button" class="btn" data-testid="claim" disabled title={`${holder.display_name} ${time(holder.since)}`}><Icon name="lock" />{t('study.held', { name: holder.display_name })}</button>;
  if (!study.permissions.includes('claim')) return null;
  return <button type="button" class="btn primary" data-testid="claim" onClick={onClaim}><Icon name="pen" />{t(study.status === 'submitted' ? 'study.claimReview' : 'study.claim')}</button>;
}

export function Band(p: Props) {
  const { study } = p;
  const at = place(study.study_uid);
  const previous = neighbour(study.study_uid, -1);
  const next = neighbour(study.study_uid, 1);
  const final = isFinal(study.status);
  return (
    <header class="band">
      <a class="btn quiet icon" href={may('worklist.read') ? '/worklist' : '/patients'} aria-label={t('study.back')} title={t('study.back')}><Icon name="back" /></a>
      <div class="pt">
        <h1><a href={`/patients/${encodeURIComponent(study.patient.id)}`}>{study.patient.name}</a></h1><span>{sex(study.patient.sex)} {age(study.patient.age_text, study.patient.birth_date)}</span><Mod>{study.modality}</Mod><span class="ell">{study.item_name || study.study_description}</span>
        <span class="faint opt mono">{study.accession_number}</span><span class="faint opt">{institution(study.institution)} {shortTime(study.study_at, now.value)}</span>
      </div>
      {!final && <PriorityTag priority={study.priority} strong />}
      {(final || study.status === 'submitted' || study.status === 'returned') && <StatusTag status={study.status} />}
      {study.hr_mark && <HrMark text={`${scopeText(study.hr_mark.scope)}${study.hr_mark.valid_until ? ` ${dateTime(study.hr_mark.valid_until).slice(0, 10)}` : ''}`} />}
      {!!study.critical?.open && <Tag tone="crit" icon="bell">{t('critical.short')}</Tag>}
      <span class="end" />
      {!final && <Clock study={study} />}
      <ClaimButton {...p} />
      {study.permissions.includes('critical.raise') && <button type="button" class="btn warnline" data-testid="critical-raise" onClick={p.onCritical}><Icon name="bell" />{t('critical.short')}</button>}
      {at && (
        <span class="row nb">
          <a class={`btn quiet icon ${previous ? '' : 'off'}`} href={previous ? `/study/${previous}` : undefined} aria-label={t('study.previous')} title={t('study.previous')}><Icon name="prev" /></a>
          <span class="faint">{at.at} / {at.of}</span>
          <a class={`btn quiet icon ${next ? '' : 'off'}`} href={next ? `/study/${next}` : undefined} aria-label={t('study.next')} title={t('study.next')}><Icon name="next" /></a>
        </span>
      )}
      <LanguageSwitch />
    </header>
  );
}
