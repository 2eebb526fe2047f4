// Frame of every page but login, reading and public pages: top bar, navigation, phone tab bar.
import { signal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { get } from '../api/client';
import { onLive } from '../api/events';
import { url } from '../api/paths';
import type { CriticalValue, Page } from '../api/types';
import { t, type Key } from '../i18n';
import { institution } from '../lib/format';
import { useTitle } from '../lib/hooks';
import { hasRole, may, session, signOut } from '../session';
import { BrandMark, Icon } from './base';
import type { IconName } from './icons';
import { LanguageSwitch } from './language';
import { NetTag } from './states';
import { clinicTheme, toggleTheme } from './theme';

interface NavItem { id: string; href: string; icon: IconName; label: Key; show: () => boolean }
const READERS = ['radiology_writer', 'radiology_reviewer', 'ecg_writer', 'ecg_reviewer'];
export const seesCritical = () => hasRole(...READERS, 'clinician', 'technician');
const NAV: readonly NavItem[] = [
  { id: 'worklist', href: '/worklist', icon: 'list', label: 'nav.worklist', show: () => may('worklist.read') || hasRole(...READERS) },
  { id: 'orders', href: '/orders', icon: 'order', label: 'nav.orders', show: () => may('order.create') || hasRole('technician') },
  { id: 'patients', href: '/patients', icon: 'person', label: 'nav.patients', show: () => hasRole(...READERS, 'clinician', 'technician') },
  { id: 'critical', href: '/critical', icon: 'bell', label: 'nav.critical', show: seesCritical },
  { id: 'statistics', href: '/statistics', icon: 'chart', label: 'nav.statistics', show: () => may('statistics.read') },
  { id: 'admin', href: '/admin', icon: 'gear', label: 'nav.admin', show: () => may('account.manage') },
  { id: 'audit', href: '/audit', icon: 'shield', label: 'nav.audit', show: () => may('audit.read') },
];

export const openCritical = signal(0);
async function countCritical(): Promise<void> {
  if (!session.value || !seesCritical()) return;
  try {
    const page = await get<Page<CriticalValue>>(url('criticalValues'));
    openCritical.value = page.items.filter((item) => item.state !== 'closed').length;
  } catch {
    // the count is a convenience; the page itself shows the error
  }
}

function AccountMenu() {
  const [open, setOpen] = useState(false);
  const who = session.value;
  if (!who) return null;
  return (
    <div class="acct">
      <button type="button" class="btn quiet acctb" aria-expanded={open} title={t('nav.account')} onClick={() => setOpen(!open)} onKeyDown={(e) => e.key === 'Escape' && setOpen(false)}>
        <span class="avatar" aria-hidden="true">{who.display_name.slice(0, 1)}</span>
        <span class="uname"><span class="strong">{who.display_name}</span> <span class="faint">{institution(who.institution)}</span></span>
      </button>
      {open && (
        <div class="menu">
          <p><b>{who.display_name}</b><br /><span class="muted">{who.user}</span></p>
          <p class="muted">{institution(who.institution)}<br />{who.roles.map((role) => t(`role.${role}` as Key)).join(' · ')}</p>
          <button type="button" class="btn" onClick={() => void signOut()}>{t('nav.logout')}</button>
        </div>
      )}
    </div>
  );
}

export function Shell({ page, title, children, className = '' }: { page: string; title: string; children: ComponentChildren; className?: string }) {
  useTitle(`${title} · ${t('app.name')}`);
  useEffect(() => {
    document.documentElement.dataset.theme = clinicTheme.value;
    void countCritical();
    return onLive((event) => {
      if (event.name === 'critical_value' || event.name === 'resync') void countCritical();
    });
  }, []);
  const items = NAV.filter((item) => item.show());
  const link = (item: NavItem, size: '' | 'l') => (
    <a key={item.id} href={item.href} aria-current={item.id === page ? 'page' : undefined}>
      <Icon name={item.icon} size={size} />
      <span>{t(item.label)}</span>
      {item.id === 'critical' && openCritical.value > 0 && <span class="count crit" title={t('nav.openCritical', { n: openCritical.value })}>{openCritical.value}</span>}
    </a>
  );
  return (
    <div class={`frame ${className}`}>
      <a class="skip" href="#main">{t('nav.skip')}</a>
      <header class="topbar">
        <a class="brand" href="/"><BrandMark /><span>{t('app.name')}</span></a>
        <nav class="topnav" aria-label={t('nav.main')}>{items.map((item) => link(item, ''))}</nav>
        <div class="who">
          <NetTag />
          <button type="button" class="btn quiet icon themeb" aria-label={t('nav.theme')} title={t('nav.theme')} onClick={toggleTheme}><Icon name={clinicTheme.value === 'clinic' ? 'moon' : 'sun'} /></button>
          <LanguageSwitch />
          <AccountMenu />
        </div>
      </header>
      <main id="main" tabindex={-1}>{children}</main>
      <nav class="tabbar" aria-label={t('nav.main')}>{items.slice(0, 5).map((item) => link(item, 'l'))}</nav>
    </div>
  );
}
