// Simple tables: recognition, turn-around, load, quality.
import { useState } from 'preact/hooks';
import { recognitionReasons } from '../api/actions';
import { get } from '../api/client';
import { url, type PathName } from '../api/paths';
import { dictionary } from '../i18n/dictionary';
import { pick, t, type Key } from '../i18n';
import { duration, percent } from '../lib/format';
import { useResource } from '../lib/hooks';
import { Empty, Icon } from '../ui/base';
import { Shell } from '../ui/shell';
import { ErrorNote, Skeleton } from '../ui/states';
import '../styles/lists.css';

const DAY_MS = 86_400_000;
const PERIODS_DAYS = [1, 7, 30, 90];
type Figures = Record<string, unknown>;
const number = (value: unknown): number | null => (typeof value === 'number' && Number.isFinite(value) ? value : null);

function useFigures(name: PathName, query: { from: string; to: string }) {
  const address = url(name, {}, query);
  return useResource(address, (signal) => get<Figures>(address, { signal }));
}

/** Of what a rate is a share: of nothing there is none. */
const OF: Record<string, string> = { critical_in_time_rate: 'critical_raised', reject_rate: 'received' };
const share = (rate: unknown, whole: unknown): string => (whole === 0 ? '–' : percent(number(rate)));

/** A figure by its name: seconds as a duration, rates as per cent. */
export function figureText(name: string, value: unknown): string {
  const n = number(value);
  if (n === null) return value == null ? '–' : String(value);
  if (name.endsWith('_s')) return duration(n);
  if (/(^|_)rate$|share$|^on_time$/.test(name)) return percent(n);
  return String(n);
}

const label = (name: string): string => (`stat.q.${name}` in dictionary ? t(`stat.q.${name}` as Key) : name);

function Section({ title, resource, children }: { title: string; resource: ReturnType<typeof useFigures>; children: (data: Figures) => preact.ComponentChildren }) {
  return (
    <section class="card"><header><h2>{title}</h2></header>
      {resource.error && <ErrorNote error={resource.error} onRetry={() => void resource.reload()} />}
      {!resource.data && !resource.error && <Skeleton rows={3} />}
      {resource.data && children(resource.data)}
    </section>
  );
}

export default function StatisticsPage() {
  const [days, setDays] = useState(7);
  const [to] = useState(() => new Date());
  const query = { from: new Date(to.getTime() - days * DAY_MS).toISOString(), to: to.toISOString() };
  const recognition = useFigures('statisticsRecognition', query);
  const turnaround = useFigures('statisticsTurnaround', query);
  const load = useFigures('statisticsLoad', query);
  const quality = useFigures('statisticsQuality', query);
  const reasons = useResource('reasons', () => recognitionReasons());
  const reasonText = (code: string) => {
    const found = reasons.data?.find((r) => r.code === code);
    return found ? pick(found.text_zh, found.text_en) : code;
  };
  const figure = (name: string, text: string) => <div key={name}><b>{text}</b><span>{t(name as Key)}</span></div>;
  return (
    <Shell page="statistics" title={t('stat.title')}>
      <div class="page">
        <div class="pagehead"><h1>{t('stat.title')}</h1>
          <div class="seg" role="group" aria-label={t('stat.period')}>{PERIODS_DAYS.map((n) => <button type="button" key={n} aria-pressed={n === days} onClick={() => setDays(n)}>{t('stat.days', { n })}</button>)}</div>
          <a class="btn end" href={url('statisticsWeekly', {}, query)} download><Icon name="doc" />{t('stat.weekly')}</a>
        </div>
        <div class="g2">
          <Section title={t('stat.recognition')} resource={recognition}>{(d) => (
            <>
              <div class="figs">{figure('stat.recognised', String(d.recognised ?? '–'))}{figure('stat.refused', String(d.refused ?? '–'))}{figure('stat.eligible', String(d.eligible ?? '–'))}{figure('stat.rate', share(d.rate, d.eligible))}</div>
              <table class="simple"><thead><tr><th scope="col">{t('stat.byReason')}</th><th scope="col" class="num">{t('stat.value')}</th></tr></thead><tbody>{Object.entries((d.refused_by_reason ?? {}) as Record<string, number>).map(([code, n]) => <tr key={code}><td>{reasonText(code)}</td><td class="num">{n}</td></tr>)}</tbody></table>
            </>
          )}</Section>
          <Section title={t('stat.turnaround')} resource={turnaround}>{(d) => (
            <>
              <div class="figs">{figure('stat.signed', String(d.signed ?? '–'))}{figure('stat.median', figureText('median_s', d.median_s))}{figure('stat.p90', figureText('p90_s', d.p90_s))}{d.in_time_rate !== undefined && figure('stat.inTime', percent(number(d.in_time_rate)))}</div>
              {[d.items, d.by_priority, d.by_modality].map((list, k) => Array.isArray(list) && list.length > 0 && <Rows key={k} items={list as Figures[]} />)}
            </>
          )}</Section>
          <Section title={t('stat.load')} resource={load}>{(d) => (Array.isArray(d.items) && d.items.length > 0 ? <Rows items={d.items as Figures[]} /> : <Empty icon="chart" text={t('state.none')} />)}</Section>
          <Section title={t('stat.quality')} resource={quality}>{(d) => (
            <table class="simple"><thead><tr><th scope="col">{t('stat.item')}</th><th scope="col" class="num">{t('stat.value')}</th></tr></thead><tbody>{Object.entries(d).filter(([, v]) => typeof v !== 'object').map(([name, value]) => <tr key={name}><td>{label(name)}</td><td class="num">{name in OF ? share(value, d[OF[name] as string]) : figureText(name, value)}</td></tr>)}</tbody></table>
          )}</Section>
        </div>
      </div>
    </Shell>
  );
}

const HEADS: Record<string, Key> = { user: 'stat.account', account: 'stat.account', priority: 'priority', modality: 'field.modality', institution: 'field.institution', signed: 'stat.signed', written: 'stat.written', submitted: 'stat.submitted', in_time_rate: 'stat.inTime', median_s: 'stat.median', p90_s: 'stat.p90', display_name: 'field.name' };

function Rows({ items }: { items: Figures[] }) {
  const columns = Object.keys(items[0] ?? {}).filter((name) => typeof items[0]?.[name] !== 'object');
  const text = (name: string, value: unknown) => (name === 'priority' && `priority.${String(value)}` in dictionary ? t(`priority.${String(value)}` as Key) : figureText(name, value));
  return (
    <div class="scroller" tabindex={-1}><table class="simple"><thead><tr>{columns.map((name) => <th scope="col" key={name} class={number(items[0]?.[name]) === null ? '' : 'num'}>{HEADS[name] ? t(HEADS[name] as Key) : label(name)}</th>)}</tr></thead>
      <tbody>{items.map((row, k) => <tr key={k}>{columns.map((name) => <td key={name} class={number(row[name]) === null ? '' : 'num'}>{text(name, row[name])}</td>)}</tr>)}</tbody></table></div>
  );
}
