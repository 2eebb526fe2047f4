// Tools of the ECG page: calipers, speed, gain, layout, filter, prior.
import { url } from '../api/paths';
import { t } from '../i18n';
import { Icon } from '../ui/base';
import { clinicTheme, toggleTheme } from '../ui/theme';
import type { Calipers } from './calipers';
import { FILTER_PATHS, MARKS_NAMES, type FilterPath, type MarksName } from './data';
import { GAINS_MM_MV, LAYOUT_NAMES, SPEEDS_MM_S, type LayoutName } from './geometry';

interface Props {
  uid: string; mode: Calipers['mode'] | null; toggleMode: (mode: Calipers['mode']) => void; march: boolean; setMarch: (on: boolean) => void; speed: number; setSpeed: (v: number) => void; gain: number; setGain: (v: number) => void;
  layout: LayoutName; setLayout: (v: LayoutName) => void; path: FilterPath; setPath: (v: FilterPath) => void; overlay: boolean; setOverlay: (on: boolean) => void; canOverlay: boolean; marks: MarksName; setMarks: (v: MarksName) => void; beside: boolean; setBeside: (on: boolean) => void;
}

function seg<T extends string | number>(label: string, values: readonly T[], value: T, set: (v: T) => void, text: (v: T, on: boolean) => string) {
  return <div class="seg" role="group" aria-label={label}>{values.map((v) => <button type="button" key={v} aria-pressed={v === value} onClick={() => set(v)}>{text(v, v === value)}</button>)}</div>;
}

export function EcgTools({ uid, mode, toggleMode, march, setMarch, speed, setSpeed, gain, setGain, layout, setLayout, path, setPath, overlay, setOverlay, canOverlay, marks, setMarks, beside, setBeside }: Props) {
  return (
    <nav class="tools ecgtools" aria-label={t('ecg.tools')}>
      <button type="button" class="btn" data-testid="ecg-caliper" aria-pressed={mode === 'time'} title={`${t('ecg.caliper')} C`} onClick={() => toggleMode('time')}><Icon name="caliper" />{t('ecg.caliper')}</button>
      <button type="button" class="btn" aria-pressed={mode === 'amplitude'} title={`${t('ecg.amplitude')} A`} onClick={() => toggleMode('amplitude')}><Icon name="amp" />{t('ecg.amplitude')}</button>
      <button type="button" class="btn opt" aria-pressed={march} disabled={mode !== 'time'} onClick={() => setMarch(!march)}><Icon name="march" />{t('ecg.march')}</button>
      {seg(t('ecg.speed'), SPEEDS_MM_S, speed, setSpeed, (v, on) => (on ? `${v} mm/s` : String(v)))}
      {seg(t('ecg.gain'), GAINS_MM_MV, gain, setGain, (v, on) => (on ? `${v} mm/mV` : String(v)))}
      {seg(t('ecg.layout'), LAYOUT_NAMES, layout, setLayout, (v) => (v === 'cabrera' ? 'Cabrera' : v.replace('x', '×')))}
      <label class="chip opt2"><Icon name="filter" size="s" /><span class="sr">{t('ecg.filter')}</span><select value={path} onChange={(e) => setPath(e.currentTarget.value as FilterPath)}>{FILTER_PATHS.map((f) => <option key={f} value={f}>{t(`ecg.path.${f}`)}</option>)}</select></label>
      <label class="chip opt2"><Icon name="march" size="s" /><span class="sr">{t('ecg.marks')}</span><select value={marks} onChange={(e) => setMarks(e.currentTarget.value as MarksName)}>{MARKS_NAMES.map((m) => <option key={m} value={m}>{t(`ecg.marks.${m}`)}</option>)}</select></label>
      <span class="end" />
      <button type="button" class="btn" data-testid="ecg-beside" aria-pressed={beside} disabled={!canOverlay} title={canOverlay ? `${t('ecg.beside')} B` : t('ecg.noPrior')} onClick={() => setBeside(!beside)}><Icon name="layout" />{t('ecg.beside')}</button>
      <button type="button" class="btn" aria-pressed={overlay} disabled={!canOverlay} title={canOverlay ? `${t('ecg.overlay')} V` : t('ecg.noPrior')} onClick={() => setOverlay(!overlay)}><Icon name="history" />{t('ecg.overlay')}</button>
      <button type="button" class="btn quiet icon" aria-label={t('nav.theme')} title={t('nav.theme')} onClick={toggleTheme}><Icon name={clinicTheme.value === 'clinic' ? 'moon' : 'sun'} /></button>
      <a class="btn quiet" href={url('ecgPdf', { uid }, { layout, speed, gain, path, marks: marks === 'none' ? undefined : marks })} target="_blank" rel="noopener"><Icon name="print" />{t('ecg.pdf')}</a>
    </nav>
  );
}
