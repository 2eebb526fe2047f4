// Linked scrolling: panes side by side go through the body together. Pure but for the hook.
import { useEffect, useRef } from 'preact/hooks';
import { cross, dot, type Frame } from './metadata';
import type { PaneModel } from './pane';

const SAME_DIRECTION = 0.95;

/** Position of a frame along the slice normal, in mm; null without geometry. */
export function depthOf(frame: Frame | null | undefined): { depth_mm: number; normal: number[] } | null {
  if (!frame?.position || !frame.orientation) return null;
  const normal = cross(frame.orientation.slice(0, 3), frame.orientation.slice(3));
  return { depth_mm: dot(frame.position, normal), normal };
}

/** The frame nearest to a depth along `normal`; null when the stack lies another way. */
export function nearestFrame(frames: readonly Frame[], normal: readonly number[], depth_mm: number): number | null {
  let best: number | null = null;
  let far = Infinity;
  frames.forEach((frame, k) => {
    const own = depthOf(frame);
    if (!own || !frame.position || Math.abs(dot(own.normal, normal)) < SAME_DIRECTION) return;
    const distance = Math.abs(dot(frame.position, normal) - depth_mm);
    if (distance < far) {
      far = distance;
      best = k;
    }
  });
  return best;
}

/** While on, the other panes follow the active one; a prior keeps the offset that it had when linking began. */
export function useLinkedScroll(on: boolean, panes: readonly PaneModel[], visible: readonly number[], active: number): void {
  const offsets = useRef(new Map<number, number>());
  const lead = panes[active];
  const frame = lead?.frame ?? null;
  const index = lead?.view.value?.index;
  useEffect(() => {
    offsets.current.clear();
    const from = depthOf(lead?.frame);
    if (!on || !from) return;
    for (const k of visible) {
      const other = panes[k];
      const position = other?.frame?.position;
      // one study has one coordinate system; across studies the slices shown side by side are taken as matching
      const same = other?.study.value?.study_uid === lead?.study.value?.study_uid;
      if (k !== active && position) offsets.current.set(k, same ? 0 : dot(position, from.normal) - from.depth_mm);
    }
  }, [on, active, visible.join(), panes.map((pane) => pane.data.value?.seriesUid ?? '').join()]);
  useEffect(() => {
    const from = depthOf(frame);
    if (!on || !from) return;
    for (const k of visible) {
      const pane = panes[k];
      if (k === active || !pane?.stack) continue;
      const to = nearestFrame(pane.frames, from.normal, from.depth_mm + (offsets.current.get(k) ?? 0));
      if (to !== null && to !== pane.stack.index) void pane.stack.goTo(to);
    }
  }, [on, index]);
}
