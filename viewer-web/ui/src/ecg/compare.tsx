// What changed since the person's earlier ECG; the server computes, this shows.
import type { EcgPrevious } from '../api/types';
import { dictionary } from '../i18n/dictionary';
import { pick, t, type Key } from '../i18n';
import { date, institution } from '../lib/format';
import { Tag } from '../ui/base';

/** A difference with its sign: "+12", "−3", "0". */
export function signedChange(value: number, digits = 0): string {
  const text = Math.abs(value).toFixed(digits);
  if (Number(text) === 0) return '0';
  return `${value > 0 ? '+' : '−'}${text}`;
}

const rhythmText = (code: string): string => (`rhythm.${code}` in dictionary ? t(`rhythm.${code}` as Key) : code);
const changeText = (name: string): string => (`ecg.c.${name}` in dictionary ? t(`ecg.c.${name}` as Key) : name);
const whole = (value: number | null | undefined) => (value === null || value === undefined ? '–' : Math.round(value));

export function Comparison({ found }: { found: EcgPrevious }) {
  const { previous, comparison } = found;
  if (!previous) return null;
  const notable = comparison?.changes.filter((c) => c.notable) ?? [];
  const changed = (c: { difference?: number | null; unit: string }) => `${signedChange(c.difference ?? 0)}${c.unit === '°' ? '°' : ` ${c.unit}`}`;
  const st = comparison?.st_mv.filter((line) => line.notable) ?? [];
  return (
    <section class="cmp" data-testid="ecg-comparison" aria-label={t('ecg.changes')}>
      <div class="row mh"><h2>{t('ecg.changes')}</h2><span class="end faint"><a href={`/study/${previous.study_uid}`}>{date(previous.study_at)} {institution(previous.institution)}</a></span></div>
      {!comparison && <p class="muted">{t('ecg.changes.none')}</p>}
      {comparison && (
        <>
          <dl class="kv">
            {notable.length > 0 && <><dt>{t('ecg.measurements')}</dt><dd>{notable.map((c) => <b class="up stc" key={c.name}>{changeText(c.name)} {changed(c)}</b>)}</dd></>}
            <dt>{t('ecg.changes.rhythm')}</dt><dd>{comparison.rhythm.changed ? <b class="up">{rhythmText(comparison.rhythm.previous)} → {rhythmText(comparison.rhythm.current)}</b> : <>{rhythmText(comparison.rhythm.current)} <span class="faint">{t('ecg.changes.same')}</span></>}</dd>
            <dt>{t('ecg.changes.st')}</dt><dd>{st.length === 0 ? <span class="faint">{t('ecg.changes.stNone')}</span> : <>{st.map((line) => <b class="up stc" key={line.lead}>{line.lead} {signedChange(line.difference ?? 0, 2)}</b>)} mV</>}</dd>
            {comparison.statements.new.length > 0 && <><dt>{t('ecg.changes.new')}</dt><dd>{comparison.statements.new.map((s) => <Tag key={s.code} tone="warn">{pick(s.text_zh, s.text_en)}</Tag>)}</dd></>}
            {comparison.statements.gone.length > 0 && <><dt>{t('ecg.changes.gone')}</dt><dd>{comparison.statements.gone.map((s) => <Tag key={s.code} tone="line">{pick(s.text_zh, s.text_en)}</Tag>)}</dd></>}
          </dl>
          <details>
            <summary>{t('ecg.changes.each')}</summary>
            <table class="mt"><thead><tr><th scope="col">{t('ecg.changes.item')}</th><th scope="col">{t('ecg.changes.now')}</th><th scope="col">{t('ecg.changes.before')}</th><th scope="col">{t('ecg.changes.diff')}</th></tr></thead>
              <tbody>
                {comparison.changes.map((c) => (
                  <tr key={c.name}><th scope="row">{changeText(c.name)}</th><td>{whole(c.current)}</td><td class="muted">{whole(c.previous)}</td>
                    <td>{c.difference === null || c.difference === undefined ? <span class="faint cw" title={pick(c.reason_zh, c.reason_en)}>{pick(c.reason_zh, c.reason_en)}</span> : <b class={c.notable ? 'up' : ''}>{changed(c)}</b>}</td></tr>
                ))}
              </tbody></table>
          </details>
          <p class="faint">{t('ecg.unconfirmed')}</p>
        </>
      )}
    </section>
  );
}
