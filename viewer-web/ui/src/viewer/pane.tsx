// One viewport: first the enlarged thumbnail (preview), then the original images; overlays say which it is.
import { signal, type Signal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import type { SeriesItem, Study } from '../api/types';
import { t } from '../i18n';
import { age, dateTime, institution, sex } from '../lib/format';
import { previewAddress } from '../lib/study-cache';
import type { StackView, ViewState } from './engine';
import { engine } from './load-engine';
import type { Measurement, MeasurementList } from './measurements';
import { lossyAtSource, needsRendering, seriesData, startIndex, type Frame, type SeriesData } from './metadata';
import { edgeLetters } from './orientation';
import { scaleBarMm } from './scale';

export type Quality = 'none' | 'preview' | 'final';

/** State of one viewport; the toolbar and the keys act on it. */
export class PaneModel {
  readonly study: Signal<Study | null> = signal(null);
  readonly series: Signal<SeriesItem | null> = signal(null);
  readonly data: Signal<SeriesData | null> = signal(null);
  readonly view: Signal<ViewState | null> = signal(null);
  readonly quality: Signal<Quality> = signal('none');
  readonly loaded = signal(0);
  readonly error = signal('');
  readonly playing = signal(false);
  /** The stored form cannot be decoded here: rendered pictures stand in, marked as lossy. */
  readonly lossy = signal(false);
  stack: StackView | null = null;
  private timer: ReturnType<typeof setInterval> | undefined;

  show(study: Study, series: SeriesItem): void {
    if (this.series.value?.series_uid === series.series_uid) return;
    this.stop();
    this.quality.value = 'none';
    this.error.value = '';
    this.loaded.value = 0;
    this.lossy.value = false;
    this.data.value = null;
    this.view.value = null;
    this.study.value = study;
    this.series.value = series;
  }

  get frames(): readonly Frame[] {
    return this.data.value?.frames ?? [];
  }

  get frame(): Frame | null {
    return this.frames[this.view.value?.index ?? 0] ?? null;
  }

  step(by: number): void {
    void this.stack?.goTo((this.stack?.index ?? 0) + by);
  }

  toggleCine(): void {
    if (this.playing.value) return this.stop();
    if (this.frames.length < 2) return;
    const seconds = this.frames[0]?.seconds ?? null;
    const rate = seconds && seconds > 0.01 && seconds < 1 ? 1 / seconds : 12;
    this.playing.value = true;
    this.timer = setInterval(() => void this.stack?.goTo(((this.stack?.index ?? 0) + 1) % this.frames.length), 1000 / Math.min(30, rate));
  }

  stop(): void {
    clearInterval(this.timer);
    this.playing.value = false;
  }
}

interface Props { pane: PaneModel; active: boolean; onActivate: () => void; onMaximise: () => void; measurements: MeasurementList | null }

async function openStack(pane: PaneModel, series: SeriesItem, element: HTMLDivElement, measurements: MeasurementList | null): Promise<void> {
  const study = pane.study.value;
  if (!study) return;
  const current = () => pane.series.value?.series_uid === series.series_uid;
  try {
    const [data, core] = await Promise.all([seriesData(study.study_uid, series.series_uid), engine()]);
    if (!current()) return;
    if (data.frames.length === 0) throw new Error(t('viewer.noPixels'));
    if (data.frames.some((f) => needsRendering(data.instances.get(f.sop) ?? {}))) pane.lossy.value = true;
    core.register(data);
    pane.data.value = data;
    const frames = pane.lossy.value ? core.asRendered(data) : data.frames;
    pane.stack ??= new core.StackView(element, {
      onState: (state) => (pane.view.value = state),
      onDrawn: () => {
        pane.quality.value = pane.lossy.value ? 'preview' : 'final';
        pane.error.value = '';
      },
      onError: (message, decoding) => {
        if (decoding && !pane.lossy.value) {
          pane.lossy.value = true;
          void openStack(pane, series, element, measurements);
        } else pane.error.value = message || t('viewer.imageFailed');
      },
      onLoaded: (count) => (pane.loaded.value = count),
    });
    if (measurements && measurements.studyUid === study.study_uid) {
      core.addMeasurements(measurements.list.value.filter((m) => m.series_uid === series.series_uid), (m) => imageIdOf(data, m));
    }
    const before = pane.view.value;
    await pane.stack.show(frames, before?.index ?? startIndex(data.frames.length, data.multiframe));
    if (!pane.lossy.value && before?.center != null && before.width != null) pane.stack.setWindow(before.center, before.width);
  } catch (cause) {
    if (current()) pane.error.value = cause instanceof Error && cause.message ? cause.message : t('viewer.imageFailed');
  }
}

export const imageIdOf = (data: SeriesData, m: Measurement): string | null => data.frames.find((f) => f.sop === m.sop_instance_uid && f.frame === m.frame)?.imageId ?? null;

export function Pane({ pane, active, onActivate, onMaximise, measurements }: Props) {
  const element = useRef<HTMLDivElement>(null);
  const series = pane.series.value;
  useEffect(() => {
    if (series && element.current) void openStack(pane, series, element.current, measurements);
  }, [series?.series_uid, pane]);
  useEffect(() => () => {
    pane.stop();
    pane.stack?.dispose();
    pane.stack = null;
    pane.quality.value = 'none';
  }, [pane]);
  const quality = pane.quality.value;
  const retry = () => series && element.current && void openStack(pane, series, element.current, measurements);
  return (
    <div class={`vp ${active ? 'act' : ''}`} data-testid="viewport" data-ready={quality === 'none' ? undefined : 'true'} data-quality={quality === 'none' ? undefined : quality} data-series-uid={series?.series_uid}
      role="group" aria-label={`${t('viewer.viewport')} ${series?.description ?? ''}`} onPointerDown={onActivate} onDblClick={onMaximise}>
      <div class="stage" ref={element} />
      {series?.thumbnail && quality !== 'final' && !(pane.lossy.value && pane.view.value) && (
        <img class="preview" alt="" src={previewAddress(series.thumbnail)} onLoad={() => { if (pane.quality.value === 'none') pane.quality.value = 'preview'; }} />
      )}
      {!series && <p class="vpempty">{t('viewer.chooseSeries')}</p>}
      {series && <Corners pane={pane} />}
      {pane.error.value && <div class="vperr note warn" role="alert"><div>{pane.error.value === t('viewer.imageFailed') ? t('viewer.failedPlain') : t('viewer.failed', { why: pane.error.value })} <button type="button" class="btn" onClick={retry}>{t('act.retry')}</button></div></div>}
    </div>
  );
}

function Corners({ pane }: { pane: PaneModel }) {
  const study = pane.study.value;
  const series = pane.series.value;
  const view = pane.view.value;
  const frame = pane.frame;
  if (!study || !series) return null;
  const count = pane.frames.length || series.frames || series.instances;
  const letters = view && frame ? edgeLetters(frame.orientation ? view.cosines : null) : null;
  const loading = pane.loaded.value < pane.frames.length && pane.frames.length > 1;
  return (
    <>
      <p class="c tl"><b>{study.patient.name}</b> {sex(study.patient.sex)} {age(study.patient.age_text, study.patient.birth_date)}<br />{study.accession_number}<br />Se {series.number ?? '–'} Im {(view?.index ?? 0) + 1}/{count}</p>
      <p class="c tr">{institution(study.institution)}<br />{dateTime(study.study_at)}<br />{series.modality} {pane.data.value?.kv}</p>
      <p class="c bl">{view?.width != null && view.center != null && <>W {Math.round(view.width)} L {Math.round(view.center)}<br /></>}{view && view.mm_per_px > 0 && `${((frame?.spacing?.[1] ?? 1) / view.mm_per_px).toFixed(2)}×`}{frame?.thickness ? ` ${t('viewer.thickness')} ${frame.thickness.toFixed(1)}` : ''}{view?.invert ? ` ${t('viewer.inverted')}` : ''}</p>
      <p class="c br">{loading && <>{t('viewer.loadedOf', { n: pane.loaded.value, total: pane.frames.length })}<br /></>}{frame?.position ? `z ${frame.position[2] >= 0 ? '+' : ''}${frame.position[2].toFixed(1)}` : ''}</p>
      {view && frame?.spacing && <ScaleBar mm_per_px={view.mm_per_px} />}
      {letters && <><b class="o t">{letters.top}</b><b class="o b">{letters.bottom}</b><b class="o l">{letters.left}</b><b class="o r">{letters.right}</b></>}
      {pane.quality.value === 'final' ? <span class="q fin">{t(lossyAtSource(pane.data.value?.instances.get(frame?.sop ?? '') ?? {}) ? 'viewer.finalLossy' : 'viewer.final')}</span> : <span class="q pre">{pane.lossy.value && pane.quality.value === 'preview' ? t('viewer.rendered') : pane.quality.value === 'preview' ? t('viewer.preview') : t('state.loading')}</span>}
    </>
  );
}

/** A bar of a round length at the right edge, so that size is seen without measuring. */
function ScaleBar({ mm_per_px }: { mm_per_px: number }) {
  const mm = scaleBarMm(mm_per_px);
  if (!mm) return null;
  return <span class="scalebar" style={{ height: `${mm / mm_per_px}px` }} aria-hidden="true"><i>{mm >= 10 ? `${mm / 10} cm` : `${mm} mm`}</i></span>;
}
