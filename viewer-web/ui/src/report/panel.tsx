// Report beside the images: history, text, templates, state and the next step.
import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { ApiError, online } from '../api/client';
import type { Study } from '../api/types';
import { t } from '../i18n';
import { person, timeSeconds } from '../lib/format';
import { isFinal, priorsOf } from '../lib/study';
import { may, session } from '../session';
import type { Measurement } from '../viewer/measurements';
import { Icon, Note, Tag } from '../ui/base';
import { ErrorNote, Skeleton, reasonOf } from '../ui/states';
import { say } from '../ui/toast';
import { Actions } from './actions';
import { ReportDialogs, type DialogName } from './dialogs';
import { ReportStore } from './store';
import { MeasurementTab, PriorsTab, RequestTab, VersionsTab } from './tabs';
import { Templates } from './templates';
import { append, blanks, nextBlank } from './text';

type TabName = 'report' | 'request' | 'priors' | 'measurements' | 'versions';

interface Props {
  study: Study; store: ReportStore; kind: 'image' | 'ecg'; measurements?: readonly Measurement[]; onDeleteMeasurement?: (id: string) => void;
  children?: ComponentChildren; after?: ComponentChildren; dialog: DialogName | null; onDialog: (name: DialogName | null) => void; onChanged: () => Promise<void>; onNext: () => void;
}

/** Why the text cannot be changed, in words; empty when it can. */
function readonlyReason(study: Study, store: ReportStore): string {
  const report = store.report.value;
  if (!report || report.editable_by_me) return '';
  if (isFinal(report.status)) return t('report.readonly.signed', { n: report.current_version ?? 1 });
  const holder = study.claimed_by;
  if (holder && !holder.mine) return t('report.readonly.held', { name: holder.display_name });
  if (report.status === 'submitted') return t('report.readonly.submitted');
  if (!may('report.write') && !may('report.sign')) return t('report.readonly.role');
  return t('report.readonly.claim');
}

export function ReportPanel(p: Props) {
  const { study, store, kind } = p;
  const [tab, setTab] = useState<TabName>('report');
  const [hint, setHint] = useState('');
  const runAction: Run = async (action, body, done) => {
    try {
      await store.act(action, body);
      say(done || t('report.signed', { n: store.report.value?.current_version ?? 1 }));
      p.onDialog(null);
      await p.onChanged();
      return true;
    } catch (cause) {
      setHint(cause instanceof ApiError ? reasonOf(cause) : String(cause));
      return false;
    }
  };
  const priors = priorsOf(study);
  const tabs: [TabName, string, number][] = [
    ['report', kind === 'ecg' ? t('report.tab.reading') : t('report.tab.report'), 0], ['request', t('report.tab.request'), 0], ['priors', t('report.tab.priors'), priors.length],
    ...(kind === 'image' ? ([['measurements', t('report.tab.measurements'), p.measurements?.length ?? 0]] as [TabName, string, number][]) : []), ['versions', t('report.tab.versions'), store.report.value?.current_version ?? 0],
  ];
  return (
    <aside class="rep" aria-label={t('report.panel')}>
      <div class="tabs" role="tablist" aria-label={t('report.panel')}>
        {tabs.map(([name, label, count]) => <button key={name} type="button" role="tab" aria-selected={tab === name} onClick={() => setTab(name)}>{label}{count > 0 && <span class="count">{count}</span>}</button>)}
      </div>
      {tab === 'report' && <ReportBody {...p} runAction={runAction} hint={hint} setHint={setHint} />}
      {tab === 'request' && <RequestTab study={study} />}
      {tab === 'priors' && <PriorsTab priors={priors} />}
      {tab === 'measurements' && <MeasurementTab list={p.measurements ?? []} onInsert={(m) => store.edit({ findings: append(store.draft.value.findings, m.text) })} onDelete={p.onDeleteMeasurement} />}
      {tab === 'versions' && <VersionsTab study={study} report={store.report.value} />}
      <ReportDialogs name={p.dialog} study={study} store={store} signer={session.value} onClose={() => p.onDialog(null)} onRun={runAction} onChanged={p.onChanged} />
    </aside>
  );
}

type Run = (action: 'reportSubmit' | 'reportReturn' | 'reportSign' | 'reportAmend', body: Record<string, unknown>, done: string) => Promise<boolean>;
interface BodyProps extends Props { runAction: Run; hint: string; setHint: (hint: string) => void }

/** Puts the caret on the next blank of a field; false when there is none. */
function jump(area: HTMLTextAreaElement | null, caret: number): boolean {
  const blank = area && nextBlank(area.value, caret);
  if (!area || !blank) return false;
  area.focus();
  area.setSelectionRange(blank.start, blank.end);
  return true;
}

function onTab(event: KeyboardEvent): void {
  const area = event.currentTarget as HTMLTextAreaElement;
  if (event.key !== 'Tab' || event.shiftKey || blanks(area.value).length === 0) return;
  if (jump(area, area.selectionEnd)) event.preventDefault();
}

function ReportBody(p: BodyProps) {
  const { study, store, kind, runAction, hint, setHint } = p;
  const findings = useRef<HTMLTextAreaElement>(null);
  const impression = useRef<HTMLTextAreaElement>(null);
  const [drawer, setDrawer] = useState(kind === 'image');
  const draft = store.draft.value;
  const report = store.report.value;
  const editable = store.editable.value;
  const reason = readonlyReason(study, store);

  const submit = async (next: boolean) => {
    if (blanks(draft.findings).length + blanks(draft.impression).length > 0) {
      setHint(t('report.blanks'));
      if (!jump(findings.current, 0)) jump(impression.current, 0);
      return;
    }
    if (!draft.impression.trim()) {
      setHint(t('report.needText'));
      impression.current?.focus();
      return;
    }
    setHint('');
    if ((await runAction('reportSubmit', {}, t('report.submitted'))) && next) p.onNext();
  };
  useReportKeys(store, findings, impression);
  if (!report && store.loadError.value) return <div class="rbody"><ErrorNote error={store.loadError.value} onRetry={() => void store.load()} /></div>;
  const area = (name: 'findings' | 'impression', ref: typeof findings, key: string, rows: number) => (
    <div class={`field f-${name}`}>
      <label for={`report-${name}`} class="row">{t(kind === 'ecg' ? `report.ecg.${name}` : `report.${name}`)}<span class="faint end">{key}</span></label>
      <textarea id={`report-${name}`} ref={ref} class="in rt" rows={rows} data-testid={`report-${name}`} value={draft[name]} readOnly={!editable} onKeyDown={onTab} onInput={(e) => store.edit({ [name]: e.currentTarget.value })} />
    </div>
  );
  return (
    <>
      <div class="rbody" tabindex={-1}>
        {study.clinical_history && <p class="hx"><b>{t('report.history')}</b>{study.clinical_history}</p>}
        {report?.status === 'returned' && <Note tone="warn" icon="back" title={t('report.returned', { reason: report.return_reason ?? '' })}>{person(report.returned_by)}</Note>}
        {p.children}
        {!report && !store.loadError.value && <Skeleton rows={4} />}
        {store.phase.value === 'conflict' && <Conflict store={store} />}
        {reason && report && <p class="ro"><Icon name="lock" size="s" />{reason}</p>}
        {area('findings', findings, 'Alt 1', kind === 'ecg' ? 3 : 7)}
        {area('impression', impression, 'Alt 2', kind === 'ecg' ? 3 : 4)}
        {p.after}
        {kind === 'image' && <ImageExtras store={store} measurements={p.measurements ?? []} />}
        {editable && report?.machine_draft && !draft.findings && !draft.impression && (
          <button type="button" class="btn" onClick={() => store.edit({ findings: report.machine_draft?.findings ?? '', impression: report.machine_draft?.impression ?? '' })}><Icon name="heart" />{t('report.machineDraft')}</button>
        )}
      </div>
      {editable && drawer && <Templates study={study} onHide={() => setDrawer(false)} onUse={(tpl) => {
        store.edit({ findings: append(draft.findings, tpl.findings), impression: append(draft.impression, tpl.impression) });
        requestAnimationFrame(() => jump(findings.current, 0) || jump(impression.current, 0));
      }} />}
      {hint && <p class="ahint" role="alert"><Icon name="alert" size="s" />{hint}</p>}
      <footer class="ract">
        <SaveState store={store} />
        {editable && !drawer && <button type="button" class="btn quiet" onClick={() => setDrawer(true)}>{t('template.show')}</button>}
        <Actions study={study} store={store} onSubmit={submit} onDialog={p.onDialog} onChanged={p.onChanged} />
      </footer>
    </>
  );
}

type Area = { current: HTMLTextAreaElement | null };

/** Alt 1 and Alt 2 go to the fields, Ctrl Enter does the next step, Ctrl S saves. */
function useReportKeys(store: ReportStore, findings: Area, impression: Area): void {
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (event.isComposing) return;
      if (event.altKey && (event.key === '1' || event.key === '2')) {
        (event.key === '1' ? findings : impression).current?.focus();
        event.preventDefault();
      } else if (event.ctrlKey && event.key === 'Enter' && !document.querySelector('dialog[open]')) {
        document.querySelector<HTMLButtonElement>('.ract .btn.primary:not(:disabled)')?.click();
        event.preventDefault();
      } else if (event.ctrlKey && event.key.toLowerCase() === 's') {
        void store.save();
        event.preventDefault();
      }
    };
    addEventListener('keydown', press);
    return () => removeEventListener('keydown', press);
  }, [store]);
}

function Conflict({ store }: { store: ReportStore }) {
  return (
    <Note tone="warn" title={t('report.conflict')}>
      <details><summary>{t('report.conflict.theirs')} {person(store.theirs.value?.author)}</summary><p class="pre">{store.theirs.value?.findings}{'\n'}{store.theirs.value?.impression}</p></details>
      <span class="row"><button type="button" class="btn" onClick={() => void store.resolve('theirs')}>{t('report.conflict.take')}</button><button type="button" class="btn" onClick={() => void store.resolve('mine')}>{t('report.conflict.keep')}</button></span>
    </Note>
  );
}

function ImageExtras({ store, measurements }: { store: ReportStore; measurements: readonly Measurement[] }) {
  const draft = store.draft.value;
  const editable = store.editable.value;
  return (
    <>
      <div class="seg" role="group" aria-label={t('report.result')}>
        {([true, false] as const).map((value) => <button type="button" key={String(value)} aria-pressed={draft.positive === value} disabled={!editable} onClick={() => store.edit({ positive: value })}>{t(value ? 'report.positive' : 'report.negative')}</button>)}
      </div>
      {measurements.map((m) => (
        <div class="meas" key={m.id}><Icon name="ruler" size="s" /><span data-testid="measurement">{m.text}</span><span class="faint">{m.image ? `Im ${m.image}` : ''}</span>
          {editable && <button type="button" class="btn quiet end" onClick={() => store.edit({ findings: append(draft.findings, m.text) })}>{t('report.insert')}</button>}</div>
      ))}
    </>
  );
}

function SaveState({ store }: { store: ReportStore }) {
  const phase = store.phase.value;
  const saved = store.savedAt.value;
  if (!store.editable.value) return <span class="saved" />;
  if (phase === 'offline' || !online.value) return <span class="saved warn"><Tag tone="warn" icon="offline">{t('report.phase.offline')}</Tag></span>;
  if (phase === 'error') return <span class="saved bad" role="alert"><Icon name="alert" size="s" />{t('report.phase.error', { why: store.message.value })}</span>;
  if (phase === 'saving') return <span class="saved dim">{t('report.phase.saving')}</span>;
  if (phase === 'dirty' || phase === 'conflict') return <span class="saved dim">{t('report.phase.dirty')}</span>;
  return saved ? <span class="saved"><Icon name="check" size="s" />{t('report.phase.saved', { time: timeSeconds(saved) })}</span> : <span class="saved" />;
}
