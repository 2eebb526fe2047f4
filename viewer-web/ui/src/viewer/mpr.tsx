// Three planes, made here from the images of the stack: the same on every computer, also without WebGL.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { SeriesItem, Study } from '../api/types';
import { t } from '../i18n';
import { engine } from './load-engine';
import { slicePicture, stackFor, type LocalVolume } from './local-volume';
import { seriesData } from './metadata';
import { PLANES, center, extent, fromPicture, scrolled, sliceCount, throughAxis, toPicture, type Plane, type Voxel } from './mpr-geometry';

async function localVolume(study: Study, series: SeriesItem, onProgress: (done: number, of: number) => void): Promise<LocalVolume> {
  const [data, core] = await Promise.all([seriesData(study.study_uid, series.series_uid), engine()]);
  const stack = stackFor(data.frames);
  if (typeof stack === 'string') throw new Error(t(`mpr.unfit.${stack}`));
  core.register(data);
  const [, rows, columns] = stack.dimensions;
  const values = await core.voxels(stack.frames, rows * columns, (done) => onProgress(done, stack.frames.length));
  return { dimensions: stack.dimensions, spacing_mm: stack.spacing_mm, values };
}

const LETTERS: Record<Plane, [string, string, string, string]> = { axial: ['A', 'L', 'P', 'R'], coronal: ['H', 'L', 'F', 'R'], sagittal: ['H', 'P', 'F', 'A'] };
const WINDOW_PER_PIXEL = 2;

interface Props { study: Study; series: SeriesItem; window_: { center: number; width: number }; onWindow: (center: number, width: number) => void; onFail: (reason: string) => void }

export function MprRoom({ study, series, window_, onWindow, onFail }: Props) {
  const [volume, setVolume] = useState<LocalVolume | null>(null);
  const [progress, setProgress] = useState('');
  const [at, setAt] = useState<Voxel>([0, 0, 0]);
  const [active, setActive] = useState<Plane>('axial');
  useEffect(() => {
    let current = true;
    localVolume(study, series, (done, of) => current && setProgress(t('viewer.loadedOf', { n: done, total: of }))).then(
      (found) => {
        if (!current) return;
        setVolume(found);
        setAt(center(found));
      },
      (cause: unknown) => current && onFail(cause instanceof Error ? cause.message : String(cause)),
    );
    return () => (current = false) as unknown as void;
  }, [series.series_uid]);
  return (
    <div class="vps mprs">
      {PLANES.map((plane) => (
        <MprPane key={plane} {...{ plane, study, volume, at, setAt, window_, onWindow }} active={plane === active} onActivate={() => setActive(plane)} />
      ))}
      <div class="vp mprinfo">
        <dl class="kv">
          <dt>{t('mpr.source')}</dt><dd>Se {series.number} {series.description}</dd>
          {volume && <><dt>{t('mpr.grid')}</dt><dd>{[...volume.dimensions].reverse().join(' × ')}</dd><dt>{t('mpr.spacing')}</dt><dd>{[...volume.spacing_mm].reverse().map((v) => v.toFixed(2)).join(' × ')} mm</dd></>}
          <dt>{t('mpr.madeBy')}</dt><dd>{volume ? t('mpr.local') : progress || t('state.loading')}</dd>
        </dl>
        <p class="muted">{t('mpr.hint')}</p>
      </div>
    </div>
  );
}

interface PaneProps extends Omit<Props, 'onFail' | 'series'> { plane: Plane; volume: LocalVolume | null; at: Voxel; setAt: (at: Voxel) => void; active: boolean; onActivate: () => void }

function MprPane({ plane, study, volume, at, setAt, window_, onWindow, active, onActivate }: PaneProps) {
  const box = useRef<HTMLDivElement>(null);
  const [size, setSize] = useState({ w: 0, h: 0 });
  useEffect(() => {
    const watch = new ResizeObserver(([entry]) => entry && setSize({ w: entry.contentRect.width, h: entry.contentRect.height }));
    if (box.current) watch.observe(box.current);
    return () => watch.disconnect();
  }, []);
  const index = at[throughAxis(plane)];
  const frame = useMemo(() => {
    if (!volume || !size.w) return null;
    const e = extent(volume, plane);
    const scale = Math.min(size.w / e.width_mm, size.h / e.height_mm);
    const w = e.width_mm * scale;
    const h = e.height_mm * scale;
    return { w, h, left: (size.w - w) / 2, top: (size.h - h) / 2 };
  }, [volume, plane, size]);
  const drag = useRef<{ x: number; y: number; center: number; width: number } | null>(null);
  const pointAt = (event: PointerEvent) => {
    const r = box.current?.getBoundingClientRect();
    if (!volume || !frame || !r) return;
    setAt(fromPicture(volume, plane, (event.clientX - r.left - frame.left) / frame.w, (event.clientY - r.top - frame.top) / frame.h, at));
  };
  const down = (event: PointerEvent) => {
    onActivate();
    box.current?.setPointerCapture(event.pointerId);
    if (event.button === 2) drag.current = { x: event.clientX, y: event.clientY, ...window_ };
    else if (event.button === 0) pointAt(event);
  };
  const moved = (event: PointerEvent) => {
    const d = drag.current;
    if (d) onWindow(d.center + (event.clientY - d.y) * WINDOW_PER_PIXEL, Math.max(1, d.width + (event.clientX - d.x) * WINDOW_PER_PIXEL));
    else if (event.buttons === 1) pointAt(event);
  };
  const cross = volume && frame ? toPicture(volume, plane, at) : null;
  const letters = LETTERS[plane];
  return (
    <div class={`vp ${active ? 'act' : ''}`} data-testid="viewport" data-plane={plane} data-ready={volume ? 'true' : undefined} data-quality={volume ? 'final' : undefined} role="group" aria-label={t(`mpr.${plane}`)}
      ref={box} onPointerDown={down} onPointerMove={moved} onPointerUp={() => (drag.current = null)} onContextMenu={(e) => e.preventDefault()}
      onWheel={(e) => { e.preventDefault(); if (volume) setAt(scrolled(volume, plane, at, e.deltaY > 0 ? 1 : -1)); }}>
      {volume && frame && <LocalPlane volume={volume} plane={plane} index={index} window_={window_} frame={frame} />}
      {cross && frame && <svg class="ov" aria-hidden="true"><CrossLines plane={plane} x={frame.left + cross.x * frame.w} y={frame.top + cross.y * frame.h} w={size.w} h={size.h} /></svg>}
      <p class="c tl"><b>{t(`mpr.${plane}`)}</b><br />{study.patient.name}</p>
      <p class="c bl">W {Math.round(window_.width)} L {Math.round(window_.center)}</p>
      <p class="c br">{volume ? `${index + 1}/${sliceCount(volume, plane)}` : ''}</p>
      <b class="o t">{letters[0]}</b><b class="o r">{letters[1]}</b><b class="o b">{letters[2]}</b><b class="o l">{letters[3]}</b>
      <span class="q fin">{volume ? t('mpr.badge') : t('state.loading')}</span>
    </div>
  );
}

interface LocalProps { volume: LocalVolume; plane: Plane; index: number; window_: { center: number; width: number }; frame: { left: number; top: number; w: number; h: number } }

function LocalPlane({ volume, plane, index, window_, frame }: LocalProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const element = canvas.current;
    if (!element) return;
    const picture = slicePicture(volume, plane, index, window_.center, window_.width);
    element.width = picture.columns;
    element.height = picture.rows;
    element.getContext('2d')?.putImageData(new ImageData(picture.data, picture.columns, picture.rows), 0, 0);
  }, [volume, plane, index, window_.center, window_.width]);
  return <canvas class="plane" ref={canvas} aria-hidden="true" style={{ left: `${frame.left}px`, top: `${frame.top}px`, width: `${frame.w}px`, height: `${frame.h}px` }} />;
}

const COLOURS: Record<Plane, [string, string]> = { axial: ['--ref-sagittal', '--ref-coronal'], coronal: ['--ref-sagittal', '--ref-axial'], sagittal: ['--ref-coronal', '--ref-axial'] };
const GAP_PX = 16;

function CrossLines({ plane, x, y, w, h }: { plane: Plane; x: number; y: number; w: number; h: number }) {
  const [vertical, horizontal] = COLOURS[plane];
  const line = (x1: number, y1: number, x2: number, y2: number, name: string) => <line x1={x1} y1={y1} x2={x2} y2={y2} style={{ stroke: `var(${name})` }} stroke-width="1.1" opacity=".75" />;
  return <>{line(x, 0, x, y - GAP_PX, vertical)}{line(x, y + GAP_PX, x, h, vertical)}{line(0, y, x - GAP_PX, y, horizontal)}{line(x + GAP_PX, y, w, y, horizontal)}</>;
}
