// Mouse tools and measurements of Cornerstone3D, translated to plain records.
import { eventTarget, metaData } from '@cornerstonejs/core';
import {
  AngleTool, ArrowAnnotateTool, BidirectionalTool, EllipticalROITool, Enums, LengthTool, PanTool, ProbeTool, StackScrollTool, ToolGroupManager, WindowLevelTool, ZoomTool,
  addTool, annotation, init as initCornerstoneTools, type Types,
} from '@cornerstonejs/tools';
import { measurementText, type Measurement } from '../measurements';

const GROUP_ID = 'gongying-tools';
const { MouseBindings, Events } = Enums;
const CLASSES = { WindowLevel: WindowLevelTool, Pan: PanTool, Zoom: ZoomTool, StackScroll: StackScrollTool, Length: LengthTool, Bidirectional: BidirectionalTool, Angle: AngleTool, EllipticalROI: EllipticalROITool, Probe: ProbeTool, ArrowAnnotate: ArrowAnnotateTool };
export type ToolName = keyof typeof CLASSES;
const ANNOTATING: readonly string[] = ['Length', 'Bidirectional', 'Angle', 'EllipticalROI', 'Probe', 'ArrowAnnotate'];
const MEASURE_COLOUR = 'rgb(255, 226, 122)';
let active: ToolName = 'WindowLevel';
let listener: { put: (m: Measurement) => void; remove: (id: string) => void } | null = null;
let arrowText: () => Promise<string> = async () => '';

export async function initTools(): Promise<void> {
  initCornerstoneTools();
  for (const tool of Object.values(CLASSES)) addTool(tool);
  const styles = annotation.config.style.getDefaultToolStyles();
  annotation.config.style.setDefaultToolStyles({
    ...styles,
    global: {
      ...styles.global,
      color: MEASURE_COLOUR, colorHighlighted: 'rgb(255, 245, 200)', colorSelected: 'rgb(255, 245, 200)', lineWidth: '1.3', textBoxBackground: '', textBoxColor: MEASURE_COLOUR, textBoxColorHighlighted: 'rgb(255, 245, 200)', textBoxColorSelected: 'rgb(255, 245, 200)',
      textBoxFontFamily: 'system-ui, sans-serif', textBoxFontSize: '13px', shadow: true,
    },
  } as never);
  const group = ToolGroupManager.createToolGroup(GROUP_ID);
  if (!group) return;
  for (const name of Object.keys(CLASSES)) {
    if (name === 'ArrowAnnotate') group.addTool(name, { getTextCallback: (done: (text: string) => void) => void arrowText().then(done), changeTextCallback: (_d: unknown, _e: unknown, done: (text: string) => void) => void arrowText().then(done) });
    else if (ANNOTATING.includes(name)) group.addTool(name, { getTextLines: (data: Drawn['data'], targetId: string) => lines(measurementText(name, data.cachedStats?.[targetId])) });
    else group.addTool(name);
  }
  bind();
  eventTarget.addEventListener(Events.ANNOTATION_COMPLETED, changed);
  eventTarget.addEventListener(Events.ANNOTATION_MODIFIED, changed);
  eventTarget.addEventListener(Events.ANNOTATION_REMOVED, removed);
}

/** The same words beside the drawing as in the list. */
const lines = (text: string): string[] | undefined => (text ? [text] : undefined);

/** Left: the chosen tool; middle: pan; right: zoom; wheel: scroll. */
function bind(): void {
  const group = ToolGroupManager.getToolGroup(GROUP_ID);
  if (!group) return;
  for (const name of Object.keys(CLASSES)) ANNOTATING.includes(name) ? group.setToolPassive(name) : group.setToolDisabled(name);
  const wanted: Record<string, Types.IToolBinding[]> = { Pan: [{ mouseButton: MouseBindings.Auxiliary }], Zoom: [{ mouseButton: MouseBindings.Secondary }], StackScroll: [{ mouseButton: MouseBindings.Wheel }] };
  (wanted[active] ??= []).push({ mouseButton: MouseBindings.Primary });
  for (const [name, bindings] of Object.entries(wanted)) group.setToolActive(name, { bindings });
}

export function setTool(name: ToolName): void {
  active = name;
  bind();
}

export const attachTools = (viewportId: string, engineId: string) => ToolGroupManager.getToolGroup(GROUP_ID)?.addViewport(viewportId, engineId);
export const detachTools = (viewportId: string, engineId: string) => ToolGroupManager.getToolGroup(GROUP_ID)?.removeViewports(engineId, viewportId);

export function onMeasurements(target: typeof listener, askText?: () => Promise<string>): void {
  listener = target;
  if (askText) arrowText = askText;
}

interface Drawn { annotationUID?: string; metadata: { toolName: string; referencedImageId?: string; FrameOfReferenceUID?: string; viewPlaneNormal?: number[]; viewUp?: number[] }; data: { handles?: { points?: number[][] }; cachedStats?: Record<string, Record<string, unknown>>; text?: string; label?: string } }

function toRecord(drawn: Drawn): Measurement | null {
  const imageId = drawn.metadata.referencedImageId;
  const points = drawn.data.handles?.points;
  if (!imageId || !points?.length || !drawn.annotationUID) return null;
  const part = /\/series\/([^/]+)\/instances\/([^/]+)\/frames\/(\d+)/.exec(imageId);
  if (!part) return null;
  const stats = Object.values(drawn.data.cachedStats ?? {}).find((s) => measurementText(drawn.metadata.toolName, s));
  const instance = metaData.get('generalImageModule', imageId) as { instanceNumber?: number } | undefined;
  const label = drawn.data.text ?? drawn.data.label;
  return {
    id: drawn.annotationUID, tool: drawn.metadata.toolName, series_uid: part[1] ?? '', sop_instance_uid: part[2] ?? '', frame: Number(part[3]), image: instance?.instanceNumber ?? 0,
    points: points.map((p) => [p[0] ?? 0, p[1] ?? 0, p[2] ?? 0]), normal: drawn.metadata.viewPlaneNormal && [...drawn.metadata.viewPlaneNormal], up: drawn.metadata.viewUp && [...drawn.metadata.viewUp],
    frame_of_reference: drawn.metadata.FrameOfReferenceUID, text: measurementText(drawn.metadata.toolName, stats) || label || '', ...(label ? { label } : {}),
  };
}

function changed(event: Event): void {
  const drawn = (event as CustomEvent<{ annotation?: Drawn }>).detail?.annotation;
  if (!drawn || !ANNOTATING.includes(drawn.metadata.toolName)) return;
  const record = toRecord(drawn);
  if (record?.text) listener?.put(record);
}

function removed(event: Event): void {
  const id = (event as CustomEvent<{ annotation?: Drawn }>).detail?.annotation?.annotationUID;
  if (id && !clearing) listener?.remove(id);
}

/** Draws records again, for example after the page was opened anew. */
export function addMeasurements(list: readonly Measurement[], imageIdOf: (m: Measurement) => string | null): void {
  for (const m of list) {
    if (annotation.state.getAnnotation(m.id)) continue;
    const imageId = imageIdOf(m);
    if (!imageId || !ANNOTATING.includes(m.tool)) continue;
    const drawn = {
      annotationUID: m.id, highlighted: false, isLocked: false, isVisible: true, invalidated: true,
      metadata: { toolName: m.tool, referencedImageId: imageId, FrameOfReferenceUID: m.frame_of_reference ?? '', viewPlaneNormal: m.normal, viewUp: m.up },
      data: { label: m.label ?? '', text: m.label ?? '', handles: { points: m.points.map((p) => [...p]), activeHandleIndex: null, textBox: { hasMoved: false, worldPosition: [0, 0, 0], worldBoundingBox: { topLeft: [0, 0, 0], topRight: [0, 0, 0], bottomLeft: [0, 0, 0], bottomRight: [0, 0, 0] } }, ...(m.tool === 'ArrowAnnotate' ? { arrowFirst: true } : {}) }, cachedStats: {} },
    };
    annotation.state.addAnnotation(drawn as never, m.frame_of_reference ?? 'group');
  }
}

export function removeMeasurement(id: string): void {
  annotation.state.removeAnnotation(id);
}

export function removeSelected(): boolean {
  const ids = annotation.selection.getAnnotationsSelected();
  ids.forEach((id) => annotation.state.removeAnnotation(id));
  return ids.length > 0;
}

let clearing = false;
/** Takes all drawings off without forgetting the records: when another study is opened. */
export function clearMeasurements(): void {
  clearing = true;
  annotation.state.removeAllAnnotations();
  clearing = false;
}

