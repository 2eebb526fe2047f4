// ECG reading: paper at true scale, calipers, machine reading and report.
import { useEffect, useMemo, useState } from 'preact/hooks';
import type { Study } from '../api/types';
import { t } from '../i18n';
import { date, institution } from '../lib/format';
import { useKeys, useResource } from '../lib/hooks';
import { priorsOf } from '../lib/study';
import { ReportPanel } from '../report/panel';
import { append } from '../report/text';
import type { RoomProps } from '../study/room';
import { Dialog } from '../ui/dialog';
import { ErrorNote, NetTag, Skeleton } from '../ui/states';
import { clinicTheme, setTheme } from '../ui/theme';
import { alignBeats, type Calipers } from './calipers';
import { GateNote } from './acquisition';
import { Comparison } from './compare';
import { ecgAnalysis, ecgFiles, ecgMarks, ecgPrevious, ecgSamples, paperMarks, type FilterPath, type MarksName } from './data';
import { CSS_PX_PER_MM, layOut, type LayoutName } from './geometry';
import { MachineReading } from './machine';
import { EcgSheet } from './paper';
import { EcgTools } from './tools';
import '../styles/ecg.css';

const CARD_MM = 85.6;
const SCALE_STORE = 'gongying.px_per_mm';
const DEFAULT_LEADS = ['I', 'II', 'III', 'aVR', 'aVL', 'aVF', 'V1', 'V2', 'V3', 'V4', 'V5', 'V6'];
const DEFAULT_SECONDS = 10;
const POOR_SQI = 0.5;
const ECTOPIC: Record<string, string[]> = { premature_ventricular_complex: ['V', 'F'], premature_atrial_complex: ['S'], premature_supraventricular_complex: ['S'] };
const NO_MARKS: readonly never[] = [];
const CLASSES = ['normal', 'nearNormal', 'questionable', 'abnormal'] as const;

const storedScale = () => Number(localStorage.getItem(SCALE_STORE)) || null;

export default function EcgRoom(p: RoomProps) {
  const { study, store } = p;
  const uid = study.study_uid;
  const analysis = useResource(uid, () => ecgAnalysis(uid));
  const [path, setPath] = useState<FilterPath>('diagnostic');
  const wave = useResource(`${uid}#${path}`, () => ecgSamples(uid, path));
  const [held, setHeld] = useState(wave.data ?? null);
  useEffect(() => {
    if (wave.data) setHeld(wave.data);
  }, [wave.data]);
  const [layout, setLayout] = useState<LayoutName>('3x4+1');
  const [speed, setSpeed] = useState<number>(25);
  const [gain, setGain] = useState<number>(10);
  const [mode, setMode] = useState<Calipers['mode'] | null>(null);
  const [march, setMarch] = useState(false);
  const [scale, setScale] = useState<number | null>(storedScale);
  const [calibrating, setCalibrating] = useState(false);
  const [reading, setReading] = useState('');
  const [locate, setLocate] = useState<{ from_s: number; to_s: number } | null>(null);
  const a = analysis.data;
  const seconds = held ? (held.mv[0]?.length ?? 0) / held.rate_hz : (a?.duration_s ?? DEFAULT_SECONDS);
  const leads = held?.leads ?? a?.leads ?? DEFAULT_LEADS;
  const paper = useMemo(() => layOut(leads, layout, Math.min(seconds, 30), speed, gain), [leads.join(), layout, seconds, speed, gain]);
  const beats_s = useMemo(() => (a?.beats ?? []).map((b) => b.sample / (a?.sampling_rate_hz ?? 1)), [a]);
  const px = scale ?? CSS_PX_PER_MM;
  const { earlier, overlay, setOverlay, prior, priorTrace } = usePriorTrace(study, path, beats_s);
  const [marks, setMarks] = useState<MarksName>('none');
  const edges = useResource(marks === 'fiducials' ? uid : null, () => ecgMarks(uid));
  const marked = useMemo(() => paperMarks(marks, a, edges.data), [marks, a, edges.data]);
  const files = useResource(uid, () => ecgFiles(uid));
  const previous = useResource(earlier ? uid : null, () => ecgPrevious(uid));
  const [beside, setBeside] = useState(false);
  useEffect(() => setTheme(clinicTheme.value), [clinicTheme.value]);
  const toggleMode = (next: Calipers['mode']) => setMode(mode === next ? null : next);
  useKeys({ c: () => toggleMode('time'), a: () => toggleMode('amplitude'), v: () => earlier && setOverlay(!overlay), b: () => earlier && setBeside(!beside), Escape: () => setMode(null) });

  const locatable = (code: string) => !!ECTOPIC[code] && (a?.beats ?? []).some((b) => ECTOPIC[code]?.includes(b.label));
  const goTo = (code: string) => {
    const beat = (a?.beats ?? []).find((b) => ECTOPIC[code]?.includes(b.label));
    if (beat && a) setLocate({ from_s: beat.sample / a.sampling_rate_hz - 0.3, to_s: beat.sample / a.sampling_rate_hz + 0.5 });
  };
  const poor = Object.entries(a?.quality ?? {}).filter(([, q]) => (q.sqi ?? 1) < POOR_SQI || (q.flags?.length ?? 0) > 0).map(([lead]) => lead);
  const chosenClass = (store.draft.value.structured ?? {}).ecg_class;
  const chooseClass = (value: string) => store.edit({ structured: { ...(store.draft.value.structured ?? {}), ecg_class: value }, positive: value !== 'normal' });
  return (
    <>
      <EcgTools {...{ uid, mode, toggleMode, march, setMarch, speed, setSpeed, gain, setGain, layout, setLayout, path, setPath, overlay, setOverlay, marks, setMarks, beside, setBeside }} canOverlay={!!earlier} />
      <main class="room ecgroom">
        <section class="desk" tabindex={-1} aria-label={t('ecg.paper')}>
          {wave.error && <ErrorNote error={wave.error} onRetry={() => void wave.reload()} />}
          {wave.error && <p class="muted">{t('ecg.noWave')}</p>}
          {beside && <p class="sheetname"><b>{t('ecg.now', { date: date(study.study_at) })}</b></p>}
          <div class="sheetbox2" tabindex={-1}>
            <EcgSheet paper={paper} samples={held} prior={priorTrace} px_mm={px} mode={mode} march={march} beats_s={beats_s} marks={marked} themeKey={clinicTheme.value} locate={locate} onReading={setReading} />
          </div>
          {beside && earlier && <PriorSheet uid={earlier.study_uid} label={t('ecg.before', { date: date(earlier.study_at), place: institution(earlier.institution) })} path={path} layout={layout} speed={speed} gain={gain} px={px} mode={mode} march={march} onReading={setReading} />}
          <div class="ftr">
            <span>{speed} mm/s {gain} mm/mV {t(`ecg.path.${path}`)} {path !== 'raw' && t('ecg.notch')} <b>{t(path === 'raw' ? 'ecg.unfiltered' : 'ecg.filtered')}</b></span>
            {reading && <span class="strong"><span class="faint">{t('ecg.reading')}</span> {reading}</span>}
            {overlay && prior.error && <span class="strong">{t('ecg.priorFailed')}</span>}
            {priorTrace && earlier && <span class="priorline">{t('ecg.priorLine', { date: date(earlier.study_at), place: institution(earlier.institution) })}</span>}
            <span>{held && `${Math.round(held.rate_hz)} Hz ${seconds.toFixed(1)} s`} {a && (poor.length ? t('ecg.quality.poor', { leads: poor.join(' ') }) : t('ecg.quality.good'))}</span>
            <span>{t(scale ? 'ecg.scale.true' : 'ecg.scale.nominal')} <button type="button" class="lk" onClick={() => setCalibrating(true)}>{t('ecg.calibrate')}</button></span>
            {files.data && files.data.length > 0 && <span>{t('ecg.files')} {files.data.map((file) => <a key={file.url} href={file.url} download={file.name}>{file.name} </a>)}</span>}
          </div>
        </section>
        <ReportPanel study={study} store={store} kind="ecg" dialog={p.dialog} onDialog={p.onDialog} onChanged={p.onChanged} onNext={p.onNext}
          after={<div class="seg" role="group" aria-label={t('ecg.class')}>{CLASSES.map((c) => <button type="button" key={c} aria-pressed={chosenClass === c} disabled={!store.editable.value} onClick={() => chooseClass(c)}>{t(`ecg.class.${c}`)}</button>)}</div>}>
          {analysis.error && <ErrorNote error={analysis.error} onRetry={() => void analysis.reload()} />}
          {!a && !analysis.error && <Skeleton rows={5} />}
          {a && <GateNote gate={a.acquisition} />}
          {a && <MachineReading analysis={a} impression={store.draft.value.impression} editable={store.editable.value} onAdd={(text) => store.edit({ impression: append(store.draft.value.impression, text) })} onLocate={goTo} locatable={locatable}>{previous.data && <Comparison found={previous.data} />}</MachineReading>}
        </ReportPanel>
      </main>
      <footer class="stat"><NetTag /><span><kbd>C</kbd> {t('ecg.caliper')} <kbd>A</kbd> {t('ecg.amplitude')} <kbd>V</kbd> {t('ecg.overlay')} <kbd>B</kbd> {t('ecg.beside')}</span><span class="opt">{t('ecg.keys')}</span></footer>
      {calibrating && <Calibrate start={px} onClose={() => setCalibrating(false)} onDone={(v) => { localStorage.setItem(SCALE_STORE, String(v)); setScale(v); setCalibrating(false); }} />}
    </>
  );
}

interface PriorProps { uid: string; label: string; path: FilterPath; layout: LayoutName; speed: number; gain: number; px: number; mode: Calipers['mode'] | null; march: boolean; onReading: (text: string) => void }

/** The earlier tracing at the same scale, below this one or beside it where the screen has room for both. */
function PriorSheet(p: PriorProps) {
  const wave = useResource(`${p.uid}#${p.path}`, () => ecgSamples(p.uid, p.path));
  const samples = wave.data ?? null;
  const seconds = samples ? Math.min(30, (samples.mv[0]?.length ?? 0) / samples.rate_hz) : DEFAULT_SECONDS;
  const leads = samples?.leads ?? DEFAULT_LEADS;
  const paper = useMemo(() => layOut(leads, p.layout, seconds, p.speed, p.gain), [leads.join(), p.layout, seconds, p.speed, p.gain]);
  return (
    <>
      <p class="sheetname priorline">{p.label}</p>
      {wave.error && <ErrorNote error={wave.error} onRetry={() => void wave.reload()} />}
      <div class="sheetbox2" tabindex={-1} data-testid="ecg-prior-paper">
        <EcgSheet paper={paper} samples={samples} prior={null} px_mm={p.px} mode={p.mode} march={p.march} beats_s={[]} marks={NO_MARKS} themeKey={clinicTheme.value} locate={null} onReading={p.onReading} />
      </div>
    </>
  );
}

/** The newest earlier ECG, fetched when it is to be laid under this one. */
function usePriorTrace(study: Study, path: FilterPath, beats_s: readonly number[]) {
  const earlier = priorsOf(study).filter((one) => one.modality === 'ECG').sort((one, other) => other.study_at.localeCompare(one.study_at))[0];
  const [overlay, setOverlay] = useState(false);
  const prior = useResource(overlay && earlier ? `${earlier.study_uid}#${path}` : null, async () => {
    const [samples, found] = await Promise.all([ecgSamples(earlier?.study_uid ?? '', path), ecgAnalysis(earlier?.study_uid ?? '')]);
    return { samples, beats_s: (found.beats ?? []).map((b) => b.sample / found.sampling_rate_hz) };
  });
  const priorTrace = useMemo(() => (overlay && prior.data ? { samples: prior.data.samples, shift_s: alignBeats(beats_s, prior.data.beats_s) } : null), [overlay, prior.data, beats_s]);
  return { earlier, overlay, setOverlay, prior, priorTrace };
}

function Calibrate({ start, onClose, onDone }: { start: number; onClose: () => void; onDone: (px_mm: number) => void }) {
  const [px, setPx] = useState(start);
  return (
    <Dialog title={t('ecg.calibrate')} lead={t('ecg.calibrate.lead')} go={t('ecg.calibrate.go')} onClose={onClose} onGo={() => onDone(px)} wide>
      <div class="cardbar" style={{ width: `${px * CARD_MM}px` }} />
      <label class="field"><span class="lab">{t('ecg.calibrate.width')} {(px * 25.4).toFixed(0)} dpi</span><input type="range" min={CSS_PX_PER_MM * 0.6} max={CSS_PX_PER_MM * 1.8} step="0.005" value={px} onInput={(e) => setPx(Number(e.currentTarget.value))} /></label>
    </Dialog>
  );
}
