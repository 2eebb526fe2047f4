// Tools of the reading page; every icon carries a word.
import { t, type Key } from '../i18n';
import { Icon } from '../ui/base';
import type { IconName } from '../ui/icons';
import type { ToolName } from './engine';
import type { Preset } from './presets';

export type Layout = '1x1' | '1x2' | '2x2';
export const LAYOUTS: Record<Layout, number> = { '1x1': 1, '1x2': 2, '2x2': 4 };

interface Props {
  tool: ToolName; onTool: (tool: ToolName) => void; layout: Layout; onLayout: (layout: Layout) => void; presets: readonly Preset[]; preset: string; onPreset: (id: string) => void;
  mpr: { on: boolean; why: string }; onMpr: () => void; linked: boolean; canLink: boolean; onLink: () => void; playing: boolean; canPlay: boolean; onAct: (act: 'invert' | 'rotate' | 'flip' | 'reset' | 'cine' | 'delete') => void;
}

const MOUSE: readonly [ToolName, IconName, Key, string][] = [['WindowLevel', 'wl', 'tool.window', 'W'], ['Pan', 'pan', 'tool.pan', ''], ['Zoom', 'zoom', 'tool.zoom', 'Z'], ['StackScroll', 'stack', 'tool.scroll', '']];
const MEASURE: readonly [ToolName, IconName, Key, string][] = [['Length', 'ruler', 'tool.length', 'L'], ['Bidirectional', 'bidir', 'tool.bidirectional', ''], ['Angle', 'angle', 'tool.angle', ''], ['EllipticalROI', 'roi', 'tool.roi', ''], ['Probe', 'probe', 'tool.probe', ''], ['ArrowAnnotate', 'arrow', 'tool.arrow', '']];

export function Toolbar(p: Props) {
  const tool = ([name, icon, label, key]: readonly [ToolName, IconName, Key, string]) => (
    <button type="button" key={name} class={`tl t-${name}`} data-testid={name === 'Length' ? 'tool-length' : undefined} aria-pressed={p.tool === name} title={`${t(label)} ${key}`.trim()} disabled={p.mpr.on} onClick={() => p.onTool(name)}>
      <Icon name={icon} size="l" /><span>{t(label)}</span>
    </button>
  );
  const act = (id: Parameters<Props['onAct']>[0], icon: IconName, label: Key, key: string, pressed?: boolean, disabled = false) => (
    <button type="button" class="tl" aria-pressed={pressed} disabled={p.mpr.on || disabled} title={`${t(label)} ${key}`.trim()} onClick={() => p.onAct(id)}><Icon name={icon} size="l" /><span>{t(label)}</span></button>
  );
  return (
    <nav class="tools" aria-label={t('viewer.tools')}>
      <div class="tg">{MOUSE.map(tool)}</div>
      <div class="tg">{MEASURE.map(tool)}</div>
      <div class="tg">
        <button type="button" class="tl" data-testid="mpr-toggle" aria-pressed={p.mpr.on} disabled={!p.mpr.on && !!p.mpr.why} title={p.mpr.why || 'MPR M'} onClick={p.onMpr}><Icon name="mpr" size="l" /><span>MPR</span></button>
        <button type="button" class="tl" aria-pressed={p.linked} disabled={!p.canLink} title={p.canLink ? `${t('tool.link')} S` : t('tool.linkWhy')} onClick={p.onLink}><Icon name="link" size="l" /><span>{t('tool.link')}</span></button>
      </div>
      <div class="tg opt2">
        {act('invert', 'invert', 'tool.invert', 'I')}{act('rotate', 'rotate', 'tool.rotate', 'R')}{act('flip', 'march', 'tool.flip', 'H')}{act('reset', 'undo', 'tool.reset', 'Space')}
        {act('cine', p.playing ? 'stop' : 'play', 'tool.cine', 'C', p.playing, !p.canPlay)}{act('delete', 'x', 'tool.delete', 'Backspace')}
      </div>
      <label class="wlsel"><span class="sr">{t('viewer.preset')}</span>
        <select class="in" data-testid="window-preset" value={p.preset} onChange={(e) => p.onPreset(e.currentTarget.value)}>
          <option value="">{t('preset.none')}</option>
          {p.presets.map((preset) => <option key={preset.id} value={preset.id}>{t(preset.label)} {Math.round(preset.width)} / {Math.round(preset.center)}</option>)}
        </select>
      </label>
      <span class="end" />
      <label class="lay opt"><span class="sr">{t('viewer.layout')}</span>
        <select class="in" value={p.layout} disabled={p.mpr.on} onChange={(e) => p.onLayout(e.currentTarget.value as Layout)}><option value="1x1">1 × 1</option><option value="1x2">1 × 2</option><option value="2x2">2 × 2</option></select>
      </label>
    </nav>
  );
}
