// Loading, error and waiting states that every list and panel shows in the same way.
import { ApiError, lastContact, latencyMs, online } from '../api/client';
import { t } from '../i18n';
import { duration } from '../lib/format';
import { now } from '../lib/hooks';
import type { Wait } from '../lib/worklist';
import { Icon, Note, Tag } from './base';

export function reasonOf(error: ApiError): string {
  if (error.status === 0) return t('state.network');
  return error.message;
}

export function ErrorNote({ error, onRetry }: { error: ApiError; onRetry?: () => void }) {
  const denied = error.status === 403;
  return (
    <Note tone="warn" icon={error.status === 0 ? 'offline' : denied ? 'lock' : 'alert'} title={denied ? t('state.denied') : t('state.error', { why: reasonOf(error) })}
      action={onRetry && !denied ? <button type="button" class="btn" onClick={onRetry}>{t('act.retry')}</button> : undefined}>
      {denied && error.message}
    </Note>
  );
}

/** Rows of the real height; shown only after 200 ms (by style). */
export function Skeleton({ rows = 6 }: { rows?: number }) {
  return (
    <div class="skeleton" role="status" aria-label={t('state.loading')}>
      {Array.from({ length: rows }, (_, k) => <i key={k} style={{ width: `${92 - ((k * 17) % 30)}%` }} />)}
    </div>
  );
}

export function NetTag() {
  if (online.value) {
    return <span class="net"><Tag tone="ok" icon="wifi" title={t('net.title')}>{latencyMs.value === null ? t('net.on') : t('net.online', { ms: latencyMs.value })}</Tag></span>;
  }
  return <Tag tone="warn" icon="offline" title={t('net.title')}>{t('net.offline', { age: duration((now.value - lastContact.value) / 1000) })}</Tag>;
}

export function WaitBar({ wait }: { wait: Wait }) {
  const goal = Math.round(wait.goal_s / 60);
  return (
    <div class="wait">
      <div class="t">
        <span class={wait.tone === 'crit' ? 'late' : wait.tone === 'warn' ? 'near' : ''}>{wait.over_s >= 0 ? t('wait.over', { t: duration(wait.over_s) }) : duration(wait.waited_s)}</span>
        <span class="faint">{goal >= 180 ? duration(wait.goal_s) : goal}</span>
      </div>
      <div class={`bar ${wait.tone}`}><i style={{ width: `${Math.min(100, wait.share * 100)}%` }} /></div>
    </div>
  );
}

export function PriorityTag({ priority, strong = false }: { priority: string; strong?: boolean }) {
  const key = priority === 'STAT' || priority === 'URGENT' || priority === 'SCREENING' ? priority : 'ROUTINE';
  if (strong) {
    if (key === 'STAT') return <Tag tone="crit" solid icon="alert">{t('priority.STAT')}</Tag>;
    if (key === 'URGENT') return <Tag tone="warn" icon="up">{t('priority.URGENT')}</Tag>;
    return <Tag tone="line">{t(`priority.${key}`)}</Tag>;
  }
  return <span class={`pri ${key}`}>{key === 'STAT' && <Icon name="alert" size="s" />}{key === 'URGENT' && <Icon name="up" size="s" />}{t(`priority.${key}`)}</span>;
}
