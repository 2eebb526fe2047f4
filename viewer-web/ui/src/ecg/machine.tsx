// What the machine measured and reads, always marked as unconfirmed.
import type { ComponentChildren } from 'preact';
import type { EcgAnalysis } from '../api/types';
import { dictionary } from '../i18n/dictionary';
import { pick, t, type Key } from '../i18n';
import { evidenceText } from '../lib/format';
import { Icon, Note, Tag } from '../ui/base';

const num = (value: unknown): number | null => (typeof value === 'number' && Number.isFinite(value) ? value : null);
const ST_SHOWN_FROM_MV = 0.1;

/** Leads whose ST level is worth a line, largest first. */
export function notableSt(st: unknown, limit = 3): [string, number][] {
  if (!st || typeof st !== 'object') return [];
  return Object.entries(st as Record<string, unknown>)
    .map(([lead, value]): [string, number] => [lead, num(value) ?? 0])
    .filter(([lead, value]) => Math.abs(value) >= ST_SHOWN_FROM_MV && lead !== 'aVR')
    .sort((a, b) => Math.abs(b[1]) - Math.abs(a[1]))
    .slice(0, limit);
}

const signed = (value: number) => `${value >= 0 ? '+' : '−'}${Math.abs(value).toFixed(2)}`;

function Rows({ analysis }: { analysis: EcgAnalysis }) {
  const m = analysis.measurements;
  const why = pick('zh', 'en') === 'zh' ? { ...analysis.not_measurable, ...analysis.not_measurable_zh } : (analysis.not_measurable ?? {});
  const cell = (name: string, unit: string) => {
    const value = num(m[name]);
    return value === null ? <span class="faint" title={why[name] ? t('ecg.notMeasurable', { why: why[name] ?? '' }) : undefined}>–</span> : <><b>{Math.round(value)}</b> {unit}</>;
  };
  const axes = ['p_axis_deg', 'qrs_axis_deg', 't_axis_deg'].map((name) => num(m[name]));
  const rhythmKey = `rhythm.${analysis.rhythm}`;
  return (
    <div class="two">
      <table class="mt"><tbody>
        <tr><th scope="row">{t('ecg.m.hr')}</th><td>{cell('heart_rate_bpm', 'bpm')}</td></tr>
        <tr><th scope="row">{t('ecg.m.p')} / {t('ecg.m.pr')}</th><td>{num(m.p_ms) === null ? '' : <><b>{Math.round(num(m.p_ms) ?? 0)}</b> / </>}{cell('pr_ms', 'ms')}</td></tr>
        <tr><th scope="row">{t('ecg.m.qrs')}</th><td>{cell('qrs_ms', 'ms')}</td></tr>
        <tr><th scope="row">{t('ecg.m.qt')}</th><td>{cell('qt_ms', 'ms')}</td></tr>
      </tbody></table>
      <table class="mt"><tbody>
        <tr><th scope="row">{t('ecg.m.rhythm')}</th><td><b>{rhythmKey in dictionary ? t(rhythmKey as Key) : analysis.rhythm}</b></td></tr>
        <tr><th scope="row">{t('ecg.m.qtcF')}</th><td>{cell('qtc_fridericia_ms', 'ms')}</td></tr>
        <tr><th scope="row">{t('ecg.m.axis')}</th><td><b>{axes.map((a) => (a === null ? '–' : Math.round(a))).join(' / ')}</b>°</td></tr>
        <tr><th scope="row">{t('ecg.m.rv5')}</th><td><b>{[m.rv5_mv, m.sv1_mv].map((v) => num(v)?.toFixed(2) ?? '–').join(' / ')}</b> mV</td></tr>
      </tbody></table>
      {notableSt(m.st_mv).length > 0 && <p class="stline"><span class="muted">{t('ecg.m.stAll')}</span> {notableSt(m.st_mv).map(([lead, value]) => <b key={lead}>{lead} {signed(value)}</b>)} mV</p>}
    </div>
  );
}

const evidence = (of: { evidence?: unknown; evidence_zh?: unknown }) => pick(evidenceText(of.evidence_zh ?? of.evidence), evidenceText(of.evidence));

interface Props { analysis: EcgAnalysis; impression: string; editable: boolean; onAdd: (text: string) => void; onLocate: (code: string) => void; locatable: (code: string) => boolean; children?: ComponentChildren }

export function MachineReading({ analysis, impression, editable, onAdd, onLocate, locatable, children }: Props) {
  return (
    <>
      {analysis.critical.map((c) => <Note key={c.rule} tone="crit" title={t('ecg.critical', { text: pick(c.text_zh, c.text_en) })}><span class="muted">{evidence(c)} {c.ruleset && t('ecg.ruleset', { name: pick(c.citation ?? c.ruleset, c.ruleset) })}</span></Note>)}
      <section>
        <div class="row mh"><h2>{t('ecg.measurements')}</h2><span class="end"><Tag icon="heart">{t('ecg.machine')}</Tag></span></div>
        <Rows analysis={analysis} />
      </section>
      <section>
        <div class="row mh"><h2>{t('ecg.statements')}</h2>{editable && <span class="faint">{t('ecg.statements.hint')}</span>}</div>
        {analysis.statements.length === 0 && <p class="faint">{t('ecg.statements.none')}</p>}
        <ul class="stm">
          {analysis.statements.map((s) => {
            const text = pick(s.text_zh, s.text_en);
            const used = impression.includes(text);
            return (
              <li key={s.code}>
                <button type="button" disabled={!editable || used} onClick={() => onAdd(text)}><Icon name={used ? 'check' : 'plus'} />{text}</button>
                {locatable(s.code) && <button type="button" class="lk" onClick={() => onLocate(s.code)}>{t('ecg.locate')}</button>}
                {evidence(s) && <span class="ev">{evidence(s)}</span>}
              </li>
            );
          })}
        </ul>
        <p class="faint">{t('ecg.unconfirmed')}</p>
      </section>
      {children}
    </>
  );
}
