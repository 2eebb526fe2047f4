// The only door to Cornerstone3D. Everything here is in a chunk of its own, fetched when images are opened.
import { Enums, RenderingEngine, eventTarget, init as initCore, metaData, setUseCPURendering, utilities, cache, imageLoader, type Types } from '@cornerstonejs/core';
import { init as initLoader, wadors } from '@cornerstonejs/dicom-image-loader';
import type { Frame, SeriesData } from '../metadata';
import { asRendered, registerRendered } from './rendered';
import { attachTools, detachTools, initTools } from './tools';

const ENGINE_ID = 'gongying';
const CACHE_BYTES = 768 * 1024 * 1024;
const PREFETCH_AT_ONCE = 4;
/** A support person may force `cpu` or `gpu` on a computer whose driver misbehaves. */
const BACKEND_STORE = 'gongying.backend';

export type Backend = 'gpu' | 'cpu';
let engine: RenderingEngine | null = null;
let backend: Backend = 'gpu';
let starting: Promise<Backend> | null = null;

/** Starts once. Without WebGL, or with a software rasterizer, stacks are drawn on the CPU: faster there than emulated WebGL. */
export function start(): Promise<Backend> {
  starting ??= (async () => {
    initCore({ debug: { statsOverlay: false } });
    const found = rendererFromPage();
    const wanted = localStorage.getItem(BACKEND_STORE);
    if (!found.webgl || wanted === 'cpu' || (found.softwareRasterizer && wanted !== 'gpu')) {
      setUseCPURendering(true);
      backend = 'cpu';
    }
    cache.setMaxCacheSize(CACHE_BYTES);
    initLoader({ maxWebWorkers: Math.max(1, Math.min(4, Math.floor((navigator.hardwareConcurrency || 2) / 2))) });
    registerRendered();
    await initTools();
    engine = new RenderingEngine(ENGINE_ID);
    return backend;
  })();
  return starting;
}

function rendererFromPage(): { webgl: boolean; softwareRasterizer: boolean } {
  const gl = document.createElement('canvas').getContext('webgl2');
  if (!gl) return { webgl: false, softwareRasterizer: false };
  const info = gl.getExtension('WEBGL_debug_renderer_info');
  const name = info ? String(gl.getParameter(info.UNMASKED_RENDERER_WEBGL)) : '';
  gl.getExtension('WEBGL_lose_context')?.loseContext();
  return { webgl: true, softwareRasterizer: /swiftshader|llvmpipe|softpipe|basic render/i.test(name) };
}

/** Tells the loader about the images of a series. */
export function register(series: SeriesData): void {
  for (const frame of series.frames) {
    const instance = series.instances.get(frame.sop);
    if (instance) wadors.metaDataManager.add(frame.imageId, instance as never);
  }
}

export interface ViewState { index: number; center: number | null; width: number | null; /** Patient millimetres under one screen pixel; pixels of the image where it has no spacing. */ mm_per_px: number; invert: boolean; /** Patient directions to the right and down on the screen, whatever was turned or flipped. */ cosines: number[] }
export interface StackEvents { onState: (state: ViewState) => void; onDrawn: (index: number) => void; onError: (message: string, decoding: boolean) => void; onLoaded: (count: number) => void }

let nextId = 1;

/** One stack of images in one element. */
export class StackView {
  readonly id = `stack-${nextId++}`;
  private readonly element: HTMLDivElement;
  private readonly events: StackEvents;
  private imageIds: string[] = [];
  private known = new Set<string>();
  private loaded = new Set<string>();
  private prefetchRun = 0;
  private disposed = false;
  private drawn = -1;
  private readonly resizer: ResizeObserver;

  constructor(element: HTMLDivElement, events: StackEvents) {
    this.element = element;
    this.events = events;
    engine?.enableElement({ viewportId: this.id, type: Enums.ViewportType.STACK, element, defaultOptions: { background: [0, 0, 0] } });
    attachTools(this.id, ENGINE_ID);
    element.addEventListener(Enums.Events.IMAGE_RENDERED, this.rendered);
    element.addEventListener(Enums.Events.VOI_MODIFIED, this.changed);
    element.addEventListener(Enums.Events.CAMERA_MODIFIED, this.changed);
    element.addEventListener('contextmenu', preventMenu);
    eventTarget.addEventListener(Enums.Events.IMAGE_LOADED, this.imageLoaded);
    eventTarget.addEventListener(Enums.Events.IMAGE_LOAD_ERROR, this.failed);
    this.resizer = new ResizeObserver(() => this.resize());
    this.resizer.observe(element);
  }

  private get viewport(): Types.IStackViewport | null {
    if (this.disposed) return null;
    return (engine?.getViewport(this.id) as Types.IStackViewport | undefined) ?? null;
  }

  /** The viewport once it holds an image: before that, geometry calls of the library fail. */
  private get loadedViewport(): Types.IStackViewport | null {
    const viewport = this.viewport;
    return viewport?.getCornerstoneImage() ? viewport : null;
  }

  async show(frames: readonly Frame[], index: number): Promise<void> {
    this.imageIds = frames.map((f) => f.imageId);
    this.known = new Set(this.imageIds);
    this.loaded = new Set(this.imageIds.filter((id) => cache.isLoaded(id)));
    this.drawn = -1;
    const viewport = this.viewport;
    if (!viewport || this.imageIds.length === 0) return;
    await viewport.setStack(this.imageIds, Math.min(index, this.imageIds.length - 1));
    viewport.render();
    this.report();
    this.events.onLoaded(this.loaded.size);
    void this.prefetch(index);
  }

  async goTo(index: number): Promise<void> {
    const to = Math.max(0, Math.min(this.imageIds.length - 1, index));
    const viewport = this.viewport;
    if (!viewport || to === viewport.getTargetImageIdIndex()) return;
    await viewport.setImageIdIndex(to);
    this.report();
  }

  get index(): number {
    return this.viewport?.getTargetImageIdIndex() ?? 0;
  }

  setWindow(center: number, width: number): void {
    const viewport = this.loadedViewport;
    viewport?.setProperties({ voiRange: utilities.windowLevel.toLowHighRange(width, center) });
    viewport?.render();
    this.report();
  }

  invert(): void {
    const viewport = this.loadedViewport;
    viewport?.setProperties({ invert: !viewport.getProperties().invert });
    viewport?.render();
    this.report();
  }

  rotate(step: number): void {
    const viewport = this.loadedViewport;
    if (!viewport) return;
    const now = viewport.getViewPresentation().rotation ?? 0;
    viewport.setViewPresentation({ rotation: (now + step + 360) % 360 });
    viewport.render();
    this.report();
  }

  flip(): void {
    const viewport = this.loadedViewport;
    if (!viewport) return;
    viewport.setCamera({ flipHorizontal: !viewport.getCamera().flipHorizontal });
    viewport.render();
    this.report();
  }

  zoomBy(factor: number): void {
    const viewport = this.loadedViewport;
    viewport?.setZoom(viewport.getZoom() * factor);
    viewport?.render();
    this.report();
  }

  reset(): void {
    const viewport = this.loadedViewport;
    if (!viewport) return;
    viewport.resetProperties();
    viewport.resetCamera();
    viewport.setCamera({ flipHorizontal: false, flipVertical: false });
    viewport.setViewPresentation({ rotation: 0 });
    viewport.render();
    this.report();
  }

  resize(): void {
    if (!this.loadedViewport || !this.element.clientWidth) return;
    engine?.resize(true, true);
  }

  dispose(): void {
    this.prefetchRun++;
    this.resizer.disconnect();
    detachTools(this.id, ENGINE_ID);
    eventTarget.removeEventListener(Enums.Events.IMAGE_LOADED, this.imageLoaded);
    eventTarget.removeEventListener(Enums.Events.IMAGE_LOAD_ERROR, this.failed);
    this.disposed = true;
    engine?.disableElement(this.id);
  }

  /** Fetches the other images, nearest first, few at a time so that a wanted image never waits long. */
  private async prefetch(center: number): Promise<void> {
    const run = ++this.prefetchRun;
    const order = this.imageIds.map((id, k) => ({ id, far: Math.abs(k - center) })).sort((a, b) => a.far - b.far);
    const queue = order.filter(({ id }) => !cache.isLoaded(id));
    const worker = async () => {
      for (let next = queue.shift(); next && run === this.prefetchRun; next = queue.shift()) {
        await imageLoader.loadAndCacheImage(next.id, { priority: 5 } as never).then(() => this.count(next?.id ?? ''), () => undefined);
      }
    };
    await Promise.all(Array.from({ length: PREFETCH_AT_ONCE }, worker));
  }

  private readonly rendered = () => {
    const index = this.viewport?.getCurrentImageIdIndex() ?? 0;
    this.report();
    if (index === this.drawn) return;
    this.drawn = index;
    this.events.onDrawn(index);
  };

  private readonly changed = () => this.report();

  private readonly imageLoaded = (event: Event) => {
    this.count((event as CustomEvent<{ image?: { imageId?: string } }>).detail?.image?.imageId ?? '');
  };

  private count(id: string): void {
    if (!this.known.has(id) || this.loaded.has(id)) return;
    this.loaded.add(id);
    this.events.onLoaded(this.loaded.size);
  }

  private readonly failed = (event: Event) => {
    const detail = (event as CustomEvent<{ imageId?: string; error?: unknown }>).detail;
    if (!detail?.imageId || !this.known.has(detail.imageId)) return;
    const error = detail.error as { message?: string; request?: XMLHttpRequest; status?: number } | undefined;
    const overNetwork = !!error?.request || typeof error?.status === 'number' || !navigator.onLine;
    this.events.onError(String(error?.message ?? ''), !overNetwork);
  };

  private report(): void {
    const viewport = this.loadedViewport;
    if (!viewport || this.imageIds.length === 0) return;
    const properties = viewport.getProperties();
    const range = properties.voiRange;
    const window_ = range ? utilities.windowLevel.toWindowLevel(range.lower, range.upper) : null;
    this.events.onState({
      index: viewport.getTargetImageIdIndex(),
      center: window_ ? window_.windowCenter : null,
      width: window_ ? window_.windowWidth : null,
      invert: !!properties.invert,
      ...screenDirections(viewport, this.element),
    });
  }
}

const PROBE_PX = 20;
function screenDirections(viewport: Types.IStackViewport, element: HTMLDivElement): { cosines: number[]; mm_per_px: number } {
  const x = element.clientWidth / 2;
  const y = element.clientHeight / 2;
  const origin = viewport.canvasToWorld([x, y]);
  const step = (to: Types.Point2): number[] => viewport.canvasToWorld(to).map((value, k) => value - (origin[k] ?? 0));
  const unit = (v: number[]): number[] => v.map((value) => value / (Math.hypot(...v) || 1));
  const right = step([x + PROBE_PX, y]);
  return { cosines: [...unit(right), ...unit(step([x, y + PROBE_PX]))], mm_per_px: Math.hypot(...right) / PROBE_PX };
}

const preventMenu = (event: Event) => event.preventDefault();

/** The window that the image itself names. */
export function givenWindow(imageId: string): { center: number; width: number } | null {
  const module = metaData.get('voiLutModule', imageId) as { windowCenter?: number[]; windowWidth?: number[] } | undefined;
  const center = module?.windowCenter?.[0];
  const width = module?.windowWidth?.[0];
  return typeof center === 'number' && typeof width === 'number' ? { center, width } : null;
}

export { asRendered };
export { voxels } from './voxels';
export { setTool, onMeasurements, addMeasurements, removeMeasurement, removeSelected, clearMeasurements, type ToolName } from './tools';
