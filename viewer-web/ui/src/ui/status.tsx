// The state of a study as a tag: word and icon, never colour alone.
import type { WorklistItem } from '../api/types';
import { t, type Key } from '../i18n';
import type { IconName } from './icons';
import { Tag, type Tone } from './base';

const LOOK: Record<string, [Tone, IconName | undefined, Key]> = {
  received: ['line', 'upload', 'status.received'],
  to_write: ['line', undefined, 'status.to_write'],
  writing: ['acc', 'pen', 'status.writing'],
  draft: ['acc', 'pen', 'status.draft'],
  submitted: ['info', 'eye', 'status.submitted'],
  returned: ['warn', 'back', 'status.returned'],
  signed: ['ok', 'check', 'status.signed'],
  amended: ['ok', 'history', 'status.amended'],
  rejected: ['warn', 'back', 'status.rejected'],
  revoked: ['warn', 'x', 'status.revoked'],
  none: ['line', undefined, 'status.none'],
};

export function StatusTag({ status }: { status: string }) {
  const [tone, icon, key] = LOOK[status] ?? ['line', undefined, 'status.none'];
  return <Tag tone={tone} icon={icon}>{t(key)}</Tag>;
}

export function StudyState({ item }: { item: WorklistItem }) {
  const holder = item.claimed_by;
  if (holder && !holder.mine && item.status !== 'signed' && item.status !== 'amended') {
    return <Tag tone="info" icon="lock" title={holder.display_name}>{t(item.status === 'submitted' ? 'status.lockedReview' : 'status.locked')}</Tag>;
  }
  if (!item.matched && (item.status === 'to_write' || item.status === 'received')) return <Tag tone="warn" icon="link">{t('status.unmatched')}</Tag>;
  return <StatusTag status={item.status} />;
}
