// Small parts that every page uses: icon, tag, notes, empty states, brand mark.
import type { ComponentChildren } from 'preact';
import { icons, type IconName } from './icons';

export function Icon({ name, size = '' }: { name: IconName; size?: '' | 's' | 'l' }) {
  return (
    <span class={`ic ${size}`} aria-hidden="true">
      <svg viewBox="0 0 16 16"><path d={icons[name]} /></svg>
    </span>
  );
}

export function BrandMark() {
  return (
    <svg viewBox="0 0 24 24" aria-hidden="true">
      <rect x="1.5" y="1.5" width="14.5" height="14.5" rx="3.5" fill="none" stroke="currentColor" stroke-width="1.8" opacity=".5" />
      <rect x="8" y="8" width="14.5" height="14.5" rx="3.5" fill="none" stroke="var(--accent)" stroke-width="1.8" />
      <rect x="8.9" y="8.9" width="6.2" height="6.2" rx="1.5" fill="var(--accent)" />
    </svg>
  );
}

export type Tone = '' | 'crit' | 'warn' | 'ok' | 'info' | 'hr' | 'line' | 'acc';

export function Tag({ tone = '', icon, solid = false, title, children }: { tone?: Tone; icon?: IconName; solid?: boolean; title?: string; children: ComponentChildren }) {
  return (
    <span class={`tag ${tone}${solid ? ' solid' : ''}`} title={title}>
      {icon && <Icon name={icon} size="s" />}
      {children}
    </span>
  );
}

export function Note({ tone = '', icon, title, children, action }: { tone?: '' | 'warn' | 'crit' | 'hr' | 'ok'; icon?: IconName; title?: string; children?: ComponentChildren; action?: ComponentChildren }) {
  return (
    <div class={`note ${tone}`} role={tone === 'crit' || tone === 'warn' ? 'alert' : 'status'}>
      <Icon name={icon ?? (tone === 'ok' ? 'check' : tone === 'hr' ? 'history' : 'alert')} />
      <div class="grow">
        {title && <strong>{title}</strong>}
        {title && children && <br />}
        {children}
      </div>
      {action}
    </div>
  );
}

export function Empty({ icon = 'check', text, children }: { icon?: IconName; text: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <Icon name={icon} size="l" />
      <span>{text}</span>
      {children}
    </div>
  );
}

export const Mod = ({ children }: { children: ComponentChildren }) => <span class="mod">{children}</span>;

export function HrMark({ text }: { text: string }) {
  return (
    <span class="hrmark">
      <b>HR</b>
      <span>{text}</span>
    </span>
  );
}
