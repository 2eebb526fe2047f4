// Technician: new requests, what came back from the centre, exams of today.
import { useEffect, useState } from 'preact/hooks';
import { get } from '../api/client';
import { onLive } from '../api/events';
import { url } from '../api/paths';
import type { OrderItem, Page } from '../api/types';
import { t } from '../i18n';
import { age, person, sex, shortTime } from '../lib/format';
import { now, useResource } from '../lib/hooks';
import { isFinal } from '../lib/study';
import { draftFrom, OrderForm } from '../orders/form';
import { UploadDialog } from '../orders/upload';
import { may, hasRole } from '../session';
import { Empty, Icon, Mod, Tag } from '../ui/base';
import { Shell } from '../ui/shell';
import { ErrorNote, PriorityTag, Skeleton } from '../ui/states';
import { StatusTag } from '../ui/status';
import '../styles/orders.css';

const PAGE_SIZE = 100;
type Filter = 'all' | 'waiting' | 'done';

export const wasRejected = (o: OrderItem): boolean => o.state === 'rejected' || o.status === 'rejected' || !!o.rejected;
const reported = (o: OrderItem): boolean => isFinal(o.report_status) || isFinal(o.status) || o.state === 'reported';

function StateTag({ order }: { order: OrderItem }) {
  if (wasRejected(order)) return <Tag tone="warn" icon="back">{t('orders.state.rejected')}</Tag>;
  if (order.state === 'ordered') return <Tag tone="line" icon="clock">{t('orders.state.ordered')}</Tag>;
  if (order.state === 'in_progress') return <Tag tone="info" icon="upload">{t('orders.state.in_progress')}</Tag>;
  if (order.state === 'cancelled') return <Tag>{t('orders.state.cancelled')}</Tag>;
  return <Tag tone="ok" icon="check">{t('orders.state.arrived')}{order.images ? ` ${t('unit.images', { n: order.images })}` : ''}</Tag>;
}

function Exam({ order, onUpload }: { order: OrderItem; onUpload?: (accession: string) => void }) {
  return (
    <tr>
      <td class="nm"><b>{order.patient.name}</b><span>{sex(order.patient.sex)} {age(order.patient.age_text, order.patient.birth_date)}</span></td>
      <td class="c-ex" title={order.item_name}><Mod>{order.modality}</Mod>{order.item_name}</td>
      <td class="c-p"><PriorityTag priority={order.priority} /></td>
      <td class="c-t num muted">{shortTime(order.ordered_at ?? order.scheduled_at, now.value)}</td>
      <td class="c-s"><StateTag order={order} /></td>
      <td class="c-r">{order.state === 'ordered' || order.state === 'cancelled' || wasRejected(order) ? <span class="faint">–</span> : <StatusTag status={order.report_status && order.report_status !== 'none' ? order.report_status : (order.status ?? 'to_write')} />}</td>
      <td class="c-n">{order.state === 'ordered' ? <><span class="mono faint">{order.accession_number}</span>{onUpload && order.modality === 'ECG' && <button type="button" class="lk" onClick={() => onUpload(order.accession_number)}>{t('upload.go')}</button>}</> : <a href={`/study/${order.study_uid}`}>{t(reported(order) ? 'orders.report' : 'orders.open')}</a>}</td>
    </tr>
  );
}

export default function OrdersPage() {
  const address = url('orders', {}, { limit: PAGE_SIZE });
  const list = useResource(address, (signal) => get<Page<OrderItem>>(address, { signal }));
  const [filter, setFilter] = useState<Filter>('all');
  const [form, setForm] = useState<{ key: number; start: ReturnType<typeof draftFrom>; open: boolean }>({ key: 0, start: {}, open: false });
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const off = onLive(() => {
      clearTimeout(timer);
      timer = setTimeout(() => void list.reload(), 1000);
    });
    return () => {
      clearTimeout(timer);
      off();
    };
  }, [list.reload]);
  const [upload, setUpload] = useState<string | null>(null);
  const items = list.data?.items ?? [];
  const rejects = items.filter(wasRejected);
  const shown = items.filter((o) => filter === 'all' || (filter === 'waiting' ? o.state === 'ordered' : reported(o)));
  const canOrder = may('order.create') || hasRole('technician', 'clinician');
  const canUpload = may('images.store');
  return (
    <Shell page="orders" title={t('orders.title')} className={`ord ${form.open ? 'formopen' : ''}`}>
      <h1 class="sr">{t('orders.title')}</h1>
      <div class={`cols ${canOrder ? '' : 'one'}`}>
        {canOrder && <OrderForm key={form.key} start={form.start} onClose={() => setForm({ ...form, open: false })} onDone={() => { setForm({ key: form.key + 1, start: {}, open: false }); void list.reload(); }} />}
        <div class="right">
          {rejects.length > 0 && (
            <section class="card rej" aria-label={t('orders.rejects')}>
              <header><Icon name="back" /><h2>{t('orders.rejects')}</h2><Tag tone="warn">{t('orders.rejects.count', { n: rejects.length })}</Tag></header>
              <ul>{rejects.map((o) => (
                <li key={o.accession_number}><Mod>{o.modality}</Mod><span class="nm"><b>{o.patient.name}</b><span>{sex(o.patient.sex)} {age(o.patient.age_text, o.patient.birth_date)}</span></span>
                  <span class="rwhy muted">{[o.rejected?.reason_text, o.rejected?.note].filter(Boolean).join('：') || o.item_name} <span class="faint">{person(o.rejected?.by)} {shortTime(o.rejected?.at, now.value)}</span></span>
                  {canOrder && <button type="button" class="btn" onClick={() => setForm({ key: form.key + 1, start: draftFrom(o), open: true })}>{t('orders.redo')}</button>}</li>
              ))}</ul>
            </section>
          )}
          <section class="card sent" aria-label={t('orders.sent')}>
            <header><h2>{t('orders.sent')}</h2><span class="count">{items.length}</span><div class="seg end" role="group" aria-label={t('field.status')}>{(['all', 'waiting', 'done'] as const).map((f) => <button type="button" key={f} aria-pressed={filter === f} onClick={() => setFilter(f)}>{t(`orders.filter.${f}`)}</button>)}</div>{canUpload && <button type="button" class="btn" data-testid="ecg-upload" onClick={() => setUpload('')}><Icon name="upload" />{t('upload.open')}</button>}</header>
            {list.error && <ErrorNote error={list.error} onRetry={() => void list.reload()} />}
            {!list.data && !list.error && <Skeleton rows={8} />}
            {list.data && shown.length === 0 && <Empty icon="order" text={t('orders.empty')} />}
            {shown.length > 0 && (
              <div class="bx" tabindex={-1}><table class="grid">
                <colgroup><col style={{ width: '168px' }} /><col /><col class="c-p" style={{ width: '84px' }} /><col class="c-t" style={{ width: '92px' }} /><col style={{ width: '138px' }} /><col style={{ width: '112px' }} /><col class="c-n" style={{ width: '132px' }} /></colgroup>
                <thead><tr><th scope="col">{t('field.patient')}</th><th scope="col">{t('field.exam')}</th><th scope="col" class="c-p">{t('priority')}</th><th scope="col" class="c-t num">{t('orders.col.time')}</th><th scope="col">{t('orders.col.state')}</th><th scope="col">{t('orders.col.report')}</th><th scope="col" class="c-n">{t('orders.col.result')}</th></tr></thead>
                <tbody>{shown.map((o) => <Exam key={o.accession_number} order={o} onUpload={canUpload ? setUpload : undefined} />)}</tbody>
              </table></div>
            )}
          </section>
        </div>
      </div>
      {canOrder && <button type="button" class="btn primary lg fab" onClick={() => setForm({ ...form, open: true })}><Icon name="plus" />{t('orders.newShort')}</button>}
      {upload !== null && <UploadDialog orders={items} start={upload} onClose={() => setUpload(null)} onDone={() => void list.reload()} />}
    </Shell>
  );
}
