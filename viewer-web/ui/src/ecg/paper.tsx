// The sheet: canvas, lead names, calipers. Time goes left to right; a drag measures.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { t } from '../i18n';
import { read, readingText, snap, type Calipers } from './calipers';
import { drawPaper, type PaperMark, type PriorTrace, type Samples } from './draw';
import { traceAt, xOf, type Paper } from './geometry';

interface Props { paper: Paper; samples: Samples | null; prior: PriorTrace | null; px_mm: number; mode: Calipers['mode'] | null; march: boolean; beats_s: readonly number[]; marks: readonly PaperMark[]; themeKey: string; locate: { from_s: number; to_s: number } | null; onReading: (text: string) => void }

export function EcgSheet(p: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const sheet = useRef<HTMLDivElement>(null);
  const [calipers, setCalipers] = useState<Calipers | null>(null);
  const dragging = useRef<'new' | 'start' | 'end' | null>(null);
  const { paper, px_mm } = p;
  useEffect(() => {
    if (canvas.current) drawPaper(canvas.current, paper, px_mm, p.samples, p.prior, p.marks);
  }, [paper, px_mm, p.samples, p.prior, p.marks, p.themeKey]);
  useEffect(() => setCalipers(null), [paper, p.mode]);
  const reading = useMemo(() => (calipers ? readingText(calipers.mode, read(calipers, paper.speed_mm_s, paper.gain_mm_mv)) : ''), [calipers, paper]);
  useEffect(() => p.onReading(reading), [reading]);

  const pointOf = (event: PointerEvent) => {
    const r = sheet.current?.getBoundingClientRect();
    let x = (event.clientX - (r?.left ?? 0)) / px_mm;
    const y = (event.clientY - (r?.top ?? 0)) / px_mm;
    const hit = traceAt(paper, x, y);
    if (event.shiftKey && hit) x = xOf(paper, hit.trace, snap(hit.time_s, p.beats_s));
    return { x: Math.max(0, Math.min(paper.width_mm, x)), y: Math.max(0, Math.min(paper.height_mm, y)) };
  };
  const down = (event: PointerEvent) => {
    if (!p.mode || event.button !== 0) return;
    const { x, y } = pointOf(event);
    sheet.current?.setPointerCapture(event.pointerId);
    const GRAB_MM = 2;
    const near = (a: number, b: number) => Math.abs(a - b) < GRAB_MM;
    if (calipers && (p.mode === 'time' ? near(calipers.x1_mm, x) : near(calipers.y1_mm, y))) dragging.current = 'start';
    else if (calipers && (p.mode === 'time' ? near(calipers.x2_mm, x) : near(calipers.y2_mm, y))) dragging.current = 'end';
    else {
      dragging.current = 'new';
      setCalipers({ mode: p.mode, x1_mm: x, x2_mm: x, y1_mm: y, y2_mm: y });
    }
  };
  const move = (event: PointerEvent) => {
    if (!dragging.current) return;
    const { x, y } = pointOf(event);
    setCalipers((c) => c && (dragging.current === 'start' ? { ...c, x1_mm: x, y1_mm: y } : { ...c, x2_mm: x, y2_mm: y }));
  };
  const keys = (event: KeyboardEvent) => {
    if (!calipers || !p.mode) return;
    const step = event.shiftKey ? 1 : 0.25;
    const by = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] }[event.key];
    if (!by) return;
    event.preventDefault();
    event.stopPropagation();
    setCalipers({ ...calipers, x2_mm: calipers.x2_mm + (by[0] ?? 0), y2_mm: calipers.y2_mm + (by[1] ?? 0) });
  };
  const w = paper.width_mm * px_mm;
  const h = paper.height_mm * px_mm;
  return (
    <div class={`sheet ${p.mode ? 'measuring' : ''}`} ref={sheet} data-testid="ecg-paper" data-ready={p.samples ? 'true' : undefined} tabindex={0} role="group"
      aria-label={`${t('ecg.paper')} ${paper.speed_mm_s} mm/s ${paper.gain_mm_mv} mm/mV`} style={{ width: `${w}px`, height: `${h}px` }}
      onPointerDown={down} onPointerMove={move} onPointerUp={() => (dragging.current = null)} onKeyDown={keys}>
      <canvas ref={canvas} aria-hidden="true" />
      {paper.traces.map((trace) => (
        <span class="lead" key={`${trace.lead}${trace.row}${trace.from_s}`} data-lead={trace.label} style={{ left: `${trace.x_mm * px_mm + 4}px`, top: `${(trace.row * paper.row_mm + paper.row_mm * 0.1) * px_mm}px` }}>{trace.label}</span>
      ))}
      {p.locate && paper.traces.map((trace) => {
        const from = Math.max(trace.from_s, p.locate?.from_s ?? 0);
        const to = Math.min(trace.to_s, p.locate?.to_s ?? 0);
        return from < to && <i class="loc" key={`l${trace.lead}${trace.row}`} style={{ left: `${xOf(paper, trace, from) * px_mm}px`, width: `${(to - from) * paper.speed_mm_s * px_mm}px`, top: `${trace.row * paper.row_mm * px_mm}px`, height: `${paper.row_mm * px_mm}px` }} />;
      })}
      {calipers && <CaliperMarks c={calipers} paper={paper} px_mm={px_mm} march={p.march} />}
      {calipers && (
        <output class="calread" style={{ left: `${Math.min(w - 140, Math.max(4, ((calipers.x1_mm + calipers.x2_mm) / 2) * px_mm - 60))}px`, top: `${Math.min(h - 30, (Math.max(calipers.y1_mm, calipers.y2_mm) + (calipers.mode === 'time' ? 12 : 3)) * px_mm)}px` }}>{reading}</output>
      )}
    </div>
  );
}

function CaliperMarks({ c, paper, px_mm, march }: { c: Calipers; paper: Paper; px_mm: number; march: boolean }) {
  const h = paper.height_mm * px_mm;
  const w = paper.width_mm * px_mm;
  const [x1, x2, y1, y2] = [c.x1_mm * px_mm, c.x2_mm * px_mm, c.y1_mm * px_mm, c.y2_mm * px_mm];
  if (c.mode === 'amplitude') {
    return <svg class="calip" viewBox={`0 0 ${w} ${h}`} aria-hidden="true"><rect x="0" y={Math.min(y1, y2)} width={w} height={Math.abs(y2 - y1)} class="band2" /><path d={`M0 ${y1}H${w}M0 ${y2}H${w}M${x2} ${y1}V${y2}`} /></svg>;
  }
  const step = x2 - x1;
  const more: number[] = [];
  if (march && Math.abs(step) > 4) for (let x = x2 + step; x > 0 && x < w && more.length < 60; x += step) more.push(x);
  return (
    <svg class="calip" viewBox={`0 0 ${w} ${h}`} aria-hidden="true">
      <rect x={Math.min(x1, x2)} y="0" width={Math.abs(step)} height={h} class="band2" />
      <path d={`M${x1} 0V${h}M${x2} 0V${h}M${x1} ${y2}H${x2}`} />
      {more.map((x) => <path key={x} class="march" d={`M${x} 0V${h}`} />)}
    </svg>
  );
}
