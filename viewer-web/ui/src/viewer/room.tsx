// Images of a study: strip, tools, viewports, report. The drawing engine arrives in its own chunk.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { SeriesItem, Study } from '../api/types';
import { t } from '../i18n';
import { useKeys } from '../lib/hooks';
import { prefetchStudy } from '../lib/study-cache';
import { ReportPanel } from '../report/panel';
import type { RoomProps } from '../study/room';
import { Dialog } from '../ui/dialog';
import { setTheme } from '../ui/theme';
import { say } from '../ui/toast';
import { NetTag } from '../ui/states';
import type { ToolName } from './engine';
import { useLinkedScroll } from './link';
import { engine } from './load-engine';
import { MeasurementList } from './measurements';
import { MprRoom } from './mpr';
import { useMeasurementLayer } from './measurement-layer';
import { Pane, PaneModel } from './pane';
import { presetsFor, type Preset } from './presets';
import { Strip } from './strip';
import { LAYOUTS, Toolbar, type Layout } from './toolbar';

const MAX_PANES = 4;
const MIN_MPR_SLICES = 8;
const DEFAULT_WINDOW = { center: 40, width: 400 };

const mainSeries = (study: Study): SeriesItem[] => study.series_list.filter((s) => s.kind === 'image');

export default function ImageRoom(p: RoomProps) {
  const { study, store } = p;
  const panes = useMemo(() => Array.from({ length: MAX_PANES }, () => new PaneModel()), [study.study_uid]);
  const measurements = useMemo(() => new MeasurementList(study.study_uid), [study.study_uid]);
  const [active, setActive] = useState(0);
  const [layout, setLayout] = useState<Layout>('1x1');
  const [single, setSingle] = useState(false);
  const [tool, setTool] = useState<ToolName>('WindowLevel');
  const [preset, setPreset] = useState('');
  const [mprOn, setMprOn] = useState(false);
  const [mprWhy, setMprWhy] = useState('');
  const [mprWindow, setMprWindow] = useState(DEFAULT_WINDOW);
  const [linked, setLinked] = useState(true);
  const [ask, setAsk] = useState<((text: string) => void) | null>(null);
  const pane = panes[active] ?? panes[0];

  useEffect(() => setTheme('reading'), []);
  useEffect(() => {
    mainSeries(study).slice(0, LAYOUTS[layout]).forEach((series, k) => {
      const target = panes[k];
      if (target && !target.series.value) target.show(study, series);
    });
  }, [layout, panes, study.series_list.length]);
  const cpu = useMeasurementLayer(store, panes, measurements, setAsk);

  const series = pane?.series.value ?? null;
  const given = pane?.data.value ? windowOf(pane) : null;
  const presets = presetsFor(series?.modality ?? study.modality, given);
  const chooseTool = (name: ToolName) => {
    setTool(name);
    void engine().then((core) => core.setTool(name));
  };
  const choosePreset = (id: string) => {
    setPreset(id);
    const found = presets.find((one) => one.id === id);
    if (!found) return;
    if (mprOn) setMprWindow({ center: found.center, width: found.width });
    else pane?.stack?.setWindow(found.center, found.width);
  };
  const { mpr, toggleMpr } = useMprToggle(pane, [mprOn, setMprOn], [mprWhy, setMprWhy], setMprWindow);
  const act = (name: Act) => {
    if (name === 'reset') setPreset('');
    if (pane) actOn(pane, name);
  };
  useRoomKeys({ pane, presets, choosePreset, chooseTool, act, toggleMpr, stepSeries: (by) => pane && stepSeries(pane, by), link: () => setLinked(!linked), turn: (by) => setActive((active + by + LAYOUTS[layout]) % LAYOUTS[layout]) });
  const show = (from: Study, item: SeriesItem) => {
    setMprOn(false);
    pane?.show(from, item);
  };
  const { priors, loadPrior } = usePriors((prior, first) => {
    if (layout === '1x1') setLayout('1x2');
    panes[1]?.show(prior, first);
    setActive(1);
  });
  const visible = single ? [active] : Array.from({ length: LAYOUTS[layout] }, (_, k) => k);
  useLinkedScroll(linked && visible.length > 1 && !mprOn, panes, visible, active);
  return (
    <>
      <Toolbar tool={tool} onTool={chooseTool} layout={layout} onLayout={(l) => { setLayout(l); setSingle(false); setActive(0); }} presets={presets} preset={preset} onPreset={choosePreset}
        mpr={mpr} onMpr={toggleMpr} linked={linked && visible.length > 1} canLink={visible.length > 1 && !mprOn} onLink={() => setLinked(!linked)} playing={pane?.playing.value ?? false} canPlay={(pane?.frames.length ?? 0) > 1} onAct={act} />
      <main class="room">
        <Strip study={study} priors={priors} shown={visible.map((k) => panes[k]?.series.value?.series_uid)} onShow={show} onLoadPrior={(uid) => void loadPrior(uid)} />
        {mprOn && series && pane?.study.value ? (
          <MprRoom study={pane.study.value} series={series} window_={mprWindow} onWindow={(center, width) => setMprWindow({ center, width })} onFail={(reason) => { setMprOn(false); setMprWhy(reason); say(t('mpr.notOffered', { why: reason }), true); }} />
        ) : (
          <Panes panes={panes} visible={visible} layout={single ? '1x1' : layout} active={active} onActivate={setActive} onMaximise={() => LAYOUTS[layout] > 1 && setSingle(!single)} measurements={measurements} />
        )}
        <ReportPanel study={study} store={store} kind="image" measurements={measurements.list.value} dialog={p.dialog} onDialog={p.onDialog} onChanged={p.onChanged} onNext={p.onNext}
          onDeleteMeasurement={(id) => { measurements.remove(id); void engine().then((core) => core.removeMeasurement(id)); }} />
      </main>
      <Foot pane={pane} cpu={cpu} />
      {ask && <ArrowDialog onDone={(text) => { ask(text); setAsk(null); }} />}
    </>
  );
}

interface PanesProps { panes: readonly PaneModel[]; visible: readonly number[]; layout: Layout; active: number; onActivate: (k: number) => void; onMaximise: () => void; measurements: MeasurementList }

function Panes({ panes, visible, layout, active, onActivate, onMaximise, measurements }: PanesProps) {
  return (
    <section class={`vps l${layout}`} aria-label={t('study.images')}>
      {visible.map((k) => {
        const model = panes[k];
        return model && <Pane key={k} pane={model} active={k === active && visible.length > 1} onActivate={() => onActivate(k)} onMaximise={onMaximise} measurements={measurements} />;
      })}
    </section>
  );
}

function Foot({ pane, cpu }: { pane: PaneModel | undefined; cpu: boolean }) {
  return (
    <footer class="stat">
      <NetTag />
      {pane && pane.frames.length > 1 && <span>{t('viewer.loadedOf', { n: pane.loaded.value, total: pane.frames.length })}</span>}
      {cpu && <span>{t('viewer.cpu')}</span>}
      <span class="opt">{t('viewer.mouse')}</span>
      <span class="end opt"><kbd>1</kbd>–<kbd>5</kbd> {t('viewer.keys.preset')} <kbd>M</kbd> MPR <kbd>T</kbd> {t('viewer.keys.template')} <kbd>N</kbd> {t('viewer.keys.next')}</span>
    </footer>
  );
}

/** Shows the next or previous series of the same study. */
function stepSeries(pane: PaneModel, by: number): void {
  const study = pane.study.value;
  if (!study) return;
  const list = mainSeries(study);
  const to = list[list.findIndex((s) => s.series_uid === pane.series.value?.series_uid) + by];
  if (to) pane.show(study, to);
}

/** Earlier studies, each fetched when asked for. */
function usePriors(onLoaded: (prior: Study, first: SeriesItem) => void) {
  const [priors, setPriors] = useState<ReadonlyMap<string, Study>>(new Map());
  const loadPrior = async (uid: string) => {
    try {
      const prior = await prefetchStudy(uid);
      setPriors((known) => new Map(known).set(uid, prior));
      const first = mainSeries(prior)[0];
      if (first) onLoaded(prior, first);
    } catch {
      say(t('viewer.imageFailed'), true);
    }
  };
  return { priors, loadPrior };
}

type State<T> = [T, (value: T) => void];

/** Whether reformatting is on, may be switched on, and why not. */
function useMprToggle(pane: PaneModel | undefined, [on, setOn]: State<boolean>, [refused, setRefused]: State<string>, setWindow: (w: { center: number; width: number }) => void) {
  const series = pane?.series.value ?? null;
  const here = !series ? t('viewer.chooseSeries') : pane?.data.value?.multiframe ? t('mpr.multiframe') : (series.frames || series.instances) < MIN_MPR_SLICES ? t('mpr.needSlices') : '';
  const why = here || (refused && t('mpr.notOffered', { why: refused }));
  useEffect(() => setRefused(''), [series?.series_uid]);
  const toggleMpr = () => {
    if (!on && why) return;
    const view = pane?.view.value;
    if (!on && view?.center != null && view.width != null) setWindow({ center: view.center, width: view.width });
    setOn(!on);
  };
  return { mpr: { on, why }, toggleMpr };
}

/** What a button or key does to the chosen viewport. */
function actOn(pane: PaneModel, name: Act): void {
  if (name === 'delete') void engine().then((core) => core.removeSelected());
  else if (name === 'cine') pane.toggleCine();
  else if (name === 'rotate') pane.stack?.rotate(90);
  else if (name === 'invert') pane.stack?.invert();
  else if (name === 'flip') pane.stack?.flip();
  else pane.stack?.reset();
}

type Act = 'invert' | 'rotate' | 'flip' | 'reset' | 'cine' | 'delete';
interface RoomKeys { pane: PaneModel | undefined; presets: readonly Preset[]; choosePreset: (id: string) => void; chooseTool: (name: ToolName) => void; act: (name: Act) => void; toggleMpr: () => void; stepSeries: (by: number) => void; link: () => void; turn: (by: number) => void }

function useRoomKeys({ pane, presets, choosePreset, chooseTool, act, toggleMpr, stepSeries, link, turn }: RoomKeys): void {
  const presetKey = (n: number) => () => choosePreset(presets[n]?.id ?? '');
  useKeys({
    w: () => chooseTool('WindowLevel'), l: () => chooseTool('Length'), z: () => chooseTool('Zoom'), i: () => act('invert'), r: () => act('rotate'), h: () => act('flip'), ' ': () => act('reset'), c: () => act('cine'), m: toggleMpr, s: link,
    Backspace: () => act('delete'), Delete: () => act('delete'), Escape: () => chooseTool('WindowLevel'), t: () => document.getElementById('template-search')?.focus(),
    1: presetKey(0), 2: presetKey(1), 3: presetKey(2), 4: presetKey(3), 5: presetKey(4),
    ArrowUp: () => pane?.step(-1), ArrowDown: () => pane?.step(1), PageUp: () => stepSeries(-1), PageDown: () => stepSeries(1), Home: () => void pane?.stack?.goTo(0), End: () => void pane?.stack?.goTo((pane?.frames.length ?? 1) - 1),
    ArrowLeft: () => turn(-1), ArrowRight: () => turn(1), '+': () => pane?.stack?.zoomBy(1.25), '-': () => pane?.stack?.zoomBy(0.8), '=': () => pane?.stack?.reset(),
  });
}

function windowOf(pane: PaneModel): { center: number; width: number } | null {
  const instance = pane.data.value?.instances.get(pane.frames[0]?.sop ?? '');
  const center = Number(instance?.['00281050']?.Value?.[0]);
  const width = Number(instance?.['00281051']?.Value?.[0]);
  return Number.isFinite(center) && width > 0 ? { center, width } : null;
}

function ArrowDialog({ onDone }: { onDone: (text: string) => void }) {
  const text = useRef<HTMLInputElement>(null);
  return (
    <Dialog title={t('viewer.arrowText')} go={t('viewer.arrowGo')} onClose={() => onDone('')} onGo={() => onDone(text.current?.value.trim() ?? '')}>
      <div class="field"><label for="arrow-text">{t('viewer.arrowText')}</label><input id="arrow-text" class="in" ref={text} /></div>
    </Dialog>
  );
}
