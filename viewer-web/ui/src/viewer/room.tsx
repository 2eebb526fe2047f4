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
import { engine } from './load-engine';
import { MeasurementList } from './measurements';
import { MprRoom } from './mpr';
import { Pane, PaneModel, imageIdOf } from './pane';
import { presetsFor } from './presets';
import { Strip } from './strip';
import { LAYOUTS, Toolbar, type Layout } from './toolbar';

const MAX_PANES = 4;
const MIN_MPR_SLICES = 8;
const DEFAULT_WINDOW = { center: 40, width: 400 };

/** Series worth showing first: the one with most images. */
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
  const [priors, setPriors] = useState<ReadonlyMap<string, Study>>(new Map());
  const [cpu, setCpu] = useState(false);
  const [ask, setAsk] = useState<((text: string) => void) | null>(null);
  const pane = panes[active] ?? panes[0];

  useEffect(() => setTheme('reading'), []);
  useEffect(() => {
    mainSeries(study).slice(0, LAYOUTS[layout]).forEach((series, k) => {
      const target = panes[k];
      if (target && !target.series.value) target.show(study, series);
    });
  }, [layout, panes, study.series_list.length]);
  useEffect(() => {
    let off = false;
    measurements.onChange = (list) => store.edit({ structured: { ...(store.draft.value.structured ?? {}), measurements: list } });
    void engine().then((core) => {
      if (off) return;
      core.clearMeasurements();
      core.onMeasurements(measurements, () => new Promise((resolve) => setAsk(() => resolve)));
      for (const one of panes) {
        const data = one.data.value;
        if (data) core.addMeasurements(measurements.list.value.filter((m) => m.series_uid === data.seriesUid), (m) => imageIdOf(data, m));
      }
      void core.start().then((backend) => setCpu(backend === 'cpu'));
    });
    return () => {
      off = true;
      measurements.onChange = null;
      void engine().then((core) => core.onMeasurements(null));
    };
  }, [measurements]);
  const structured = store.draft.value.structured;
  useEffect(() => {
    const fresh = measurements.merge(structured?.measurements);
    if (fresh.length === 0) return;
    void engine().then((core) => {
      for (const one of panes) {
        const data = one.data.value;
        if (data) core.addMeasurements(fresh.filter((m) => m.series_uid === data.seriesUid), (m) => imageIdOf(data, m));
      }
    });
  }, [structured]);

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
  const localWhy = !series ? t('viewer.chooseSeries') : pane?.data.value?.multiframe ? t('mpr.multiframe') : (series.frames || series.instances) < MIN_MPR_SLICES ? t('mpr.needSlices') : '';
  const why = localWhy || (mprWhy && t('mpr.notOffered', { why: mprWhy }));
  useEffect(() => setMprWhy(''), [series?.series_uid]);
  const toggleMpr = () => {
    if (!mprOn && why) return;
    const view = pane?.view.value;
    if (!mprOn && view?.center != null && view.width != null) setMprWindow({ center: view.center, width: view.width });
    setMprOn(!mprOn);
  };
  const act = (name: 'invert' | 'rotate' | 'flip' | 'reset' | 'cine' | 'delete') => {
    if (!pane) return;
    if (name === 'delete') void engine().then((core) => core.removeSelected());
    else if (name === 'cine') pane.toggleCine();
    else if (name === 'rotate') pane.stack?.rotate(90);
    else if (name === 'invert') pane.stack?.invert();
    else if (name === 'flip') pane.stack?.flip();
    else {
      setPreset('');
      pane.stack?.reset();
    }
  };
  const stepSeries = (by: number) => {
    const list = mainSeries(pane?.study.value ?? study);
    const at = list.findIndex((s) => s.series_uid === series?.series_uid);
    const to = list[at + by];
    if (to && pane?.study.value) pane.show(pane.study.value, to);
  };
  const presetKey = (n: number) => () => choosePreset(presets[n]?.id ?? '');
  useKeys({
    w: () => chooseTool('WindowLevel'), l: () => chooseTool('Length'), z: () => chooseTool('Zoom'), i: () => act('invert'), r: () => act('rotate'), h: () => act('flip'), ' ': () => act('reset'), c: () => act('cine'), m: toggleMpr,
    Backspace: () => act('delete'), Delete: () => act('delete'), Escape: () => chooseTool('WindowLevel'), t: () => document.getElementById('template-search')?.focus(),
    1: presetKey(0), 2: presetKey(1), 3: presetKey(2), 4: presetKey(3), 5: presetKey(4),
    ArrowUp: () => pane?.step(-1), ArrowDown: () => pane?.step(1), PageUp: () => stepSeries(-1), PageDown: () => stepSeries(1), Home: () => void pane?.stack?.goTo(0), End: () => void pane?.stack?.goTo((pane?.frames.length ?? 1) - 1),
    ArrowLeft: () => setActive((active + LAYOUTS[layout] - 1) % LAYOUTS[layout]), ArrowRight: () => setActive((active + 1) % LAYOUTS[layout]), '+': () => pane?.stack?.zoomBy(1.25), '-': () => pane?.stack?.zoomBy(0.8), '=': () => pane?.stack?.reset(),
  });
  const show = (from: Study, item: SeriesItem) => {
    setMprOn(false);
    pane?.show(from, item);
  };
  const loadPrior = async (uid: string) => {
    try {
      const prior = await prefetchStudy(uid);
      setPriors((known) => new Map(known).set(uid, prior));
      const first = mainSeries(prior)[0];
      if (first) {
        if (layout === '1x1') setLayout('1x2');
        panes[1]?.show(prior, first);
        setActive(1);
      }
    } catch {
      say(t('viewer.imageFailed'), true);
    }
  };
  const shownCount = single ? 1 : LAYOUTS[layout];
  const visible = single ? [active] : Array.from({ length: shownCount }, (_, k) => k);
  return (
    <>
      <Toolbar tool={tool} onTool={chooseTool} layout={layout} onLayout={(l) => { setLayout(l); setSingle(false); setActive(0); }} presets={presets} preset={preset} onPreset={choosePreset}
        mpr={{ on: mprOn, why }} onMpr={toggleMpr} playing={pane?.playing.value ?? false} canPlay={(pane?.frames.length ?? 0) > 1} onAct={act} />
      <main class="room">
        <Strip study={study} priors={priors} shown={visible.map((k) => panes[k]?.series.value?.series_uid)} onShow={show} onLoadPrior={(uid) => void loadPrior(uid)} />
        {mprOn && series && pane?.study.value ? (
          <MprRoom study={pane.study.value} series={series} window_={mprWindow} onWindow={(center, width) => setMprWindow({ center, width })} onFail={(reason) => { setMprOn(false); setMprWhy(reason); say(t('mpr.notOffered', { why: reason }), true); }} />
        ) : (
          <section class={`vps l${single ? '1x1' : layout}`} aria-label={t('study.images')}>
            {visible.map((k) => {
              const model = panes[k];
              return model && <Pane key={k} pane={model} active={k === active && shownCount > 1} onActivate={() => setActive(k)} onMaximise={() => LAYOUTS[layout] > 1 && setSingle(!single)} measurements={measurements} />;
            })}
          </section>
        )}
        <ReportPanel study={study} store={store} kind="image" measurements={measurements.list.value} dialog={p.dialog} onDialog={p.onDialog} onChanged={p.onChanged} onNext={p.onNext}
          onDeleteMeasurement={(id) => { measurements.remove(id); void engine().then((core) => core.removeMeasurement(id)); }} />
      </main>
      <footer class="stat">
        <NetTag />
        {pane && pane.frames.length > 1 && <span>{t('viewer.loadedOf', { n: pane.loaded.value, total: pane.frames.length })}</span>}
        {cpu && <span>{t('viewer.cpu')}</span>}
        <span class="opt">{t('viewer.mouse')}</span>
        <span class="end opt"><kbd>1</kbd>–<kbd>5</kbd> {t('viewer.keys.preset')} <kbd>M</kbd> MPR <kbd>T</kbd> {t('viewer.keys.template')} <kbd>N</kbd> {t('viewer.keys.next')}</span>
      </footer>
      {ask && <ArrowDialog onDone={(text) => { ask(text); setAsk(null); }} />}
    </>
  );
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
