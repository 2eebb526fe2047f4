// Accounts, devices and institutions: lists with their state.
import { useState } from 'preact/hooks';
import { get } from '../api/client';
import { url } from '../api/paths';
import type { Institution, Page } from '../api/types';
import { dictionary } from '../i18n/dictionary';
import { t, type Key } from '../i18n';
import { dateTime, institution } from '../lib/format';
import { useResource } from '../lib/hooks';
import { Empty, Tag } from '../ui/base';
import { Shell } from '../ui/shell';
import { ErrorNote, Skeleton } from '../ui/states';
import '../styles/lists.css';

interface User { user: string; display_name: string; roles: string[]; institution?: Institution | string | null; disabled?: boolean; disabled_at?: string | null; locked?: boolean; last_login_at?: string | null }
interface Device { id: string; name: string; ae_title: string; institution?: Institution | string | null; institution_id?: number; from_addr?: string | null; may_store?: boolean; may_query?: boolean; may_retrieve?: boolean; last_seen_at?: string | number | null; revoked_at?: string | number | null }
const TABS = ['users', 'devices', 'institutions'] as const;
type Tab = (typeof TABS)[number];
const PATH = { users: 'adminUsers', devices: 'adminDevices', institutions: 'institutions' } as const;
const snake = (text: string) => text.replace(/([a-z])([A-Z])/g, '$1_$2').toLowerCase();
const known = (prefix: string, code: string) => (`${prefix}.${code}` in dictionary ? t(`${prefix}.${code}` as Key) : code);

export default function AdminPage() {
  const [tab, setTab] = useState<Tab>('users');
  const list = useResource(tab, (signal) => get<Page<unknown>>(url(PATH[tab]), { signal }));
  const items = list.data?.items ?? [];
  return (
    <Shell page="admin" title={t('admin.title')}>
      <div class="page">
        <div class="pagehead"><h1>{t('admin.title')}</h1></div>
        <section class="card">
          <div class="tabs" role="tablist" aria-label={t('admin.title')}>{TABS.map((name) => <button type="button" role="tab" key={name} aria-selected={name === tab} onClick={() => setTab(name)}>{t(`admin.${name}`)}{name === tab && list.data && <span class="count">{items.length}</span>}</button>)}</div>
          {list.error && <ErrorNote error={list.error} onRetry={() => void list.reload()} />}
          {!list.data && !list.error && <Skeleton rows={6} />}
          {list.data && items.length === 0 && <Empty icon="list" text={t('admin.empty')} />}
          {items.length > 0 && <div class="scroller" tabindex={-1}>{tab === 'users' ? <Users items={items as User[]} /> : tab === 'devices' ? <Devices items={items as Device[]} /> : <Institutions items={items as Institution[]} />}</div>}
        </section>
      </div>
    </Shell>
  );
}

function Users({ items }: { items: User[] }) {
  return (
    <table class="simple"><thead><tr><th scope="col">{t('admin.account')}</th><th scope="col">{t('field.name')}</th><th scope="col">{t('admin.roles')}</th><th scope="col">{t('field.institution')}</th><th scope="col">{t('field.status')}</th><th scope="col">{t('admin.lastLogin')}</th></tr></thead>
      <tbody>{items.map((u) => <tr key={u.user}><td class="mono">{u.user}</td><td>{u.display_name}</td><td>{u.roles?.map((r) => known('role', r)).join('，')}</td><td>{institution(u.institution)}</td><td>{u.disabled || u.disabled_at ? <Tag tone="warn">{t('admin.disabled')}</Tag> : u.locked ? <Tag tone="warn" icon="lock">{t('admin.locked')}</Tag> : <Tag tone="ok" icon="check">{t('admin.active')}</Tag>}</td><td class="muted">{dateTime(u.last_login_at)}</td></tr>)}</tbody></table>
  );
}

/** Times come as text, or as microseconds since 1970 where the server keeps them so. */
const moment = (value: string | number | null | undefined): string | null => (typeof value === 'number' ? new Date(value / 1000).toISOString() : (value ?? null));

function Devices({ items }: { items: Device[] }) {
  const institutions = useResource('institutions', () => get<Page<Institution>>(url('institutions')));
  const place = (d: Device) => institution(d.institution ?? institutions.data?.items.find((i) => String(i.id) === String(d.institution_id)));
  const rights = (d: Device) => [d.may_store && t('admin.store'), d.may_query && t('admin.query'), d.may_retrieve && t('admin.retrieve')].filter(Boolean).join(' ');
  return (
    <table class="simple"><thead><tr><th scope="col">{t('field.name')}</th><th scope="col">{t('admin.ae')}</th><th scope="col">{t('field.institution')}</th><th scope="col">{t('admin.from')}</th><th scope="col">{t('admin.rights')}</th><th scope="col">{t('field.status')}</th><th scope="col">{t('admin.lastSeen')}</th></tr></thead>
      <tbody>{items.map((d) => <tr key={d.ae_title}><td>{d.name}</td><td class="mono">{d.ae_title}</td><td>{place(d)}</td><td class="mono">{d.from_addr}</td><td>{rights(d)}</td><td>{d.revoked_at ? <Tag tone="warn">{t('admin.revoked')}</Tag> : <Tag tone="ok" icon="check">{t('admin.active')}</Tag>}</td><td class="muted">{dateTime(moment(d.last_seen_at))}</td></tr>)}</tbody></table>
  );
}

function Institutions({ items }: { items: Institution[] }) {
  return (
    <table class="simple"><thead><tr><th scope="col">{t('admin.code')}</th><th scope="col">{t('field.name')}</th><th scope="col">{t('admin.nameEn')}</th><th scope="col">{t('admin.kind')}</th></tr></thead>
      <tbody>{items.map((i) => <tr key={i.code}><td class="mono">{i.code}</td><td>{i.name}</td><td>{i.name_en}</td><td>{i.kind ? known('kind', snake(i.kind)) : ''}</td></tr>)}</tbody></table>
  );
}
