// A modal dialog: native element, Esc cancels, the last button goes on.
import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { t } from '../i18n';

interface Props {
  title: string;
  lead?: ComponentChildren;
  go: ComponentChildren;
  tone?: 'primary' | 'danger';
  disabled?: boolean;
  why?: string;
  wide?: boolean;
  /** Word of the button that closes. */
  cancel?: string;
  onClose: () => void;
  onGo: () => void | Promise<void>;
  children?: ComponentChildren;
}

export function Dialog({ title, lead, go, tone = 'primary', disabled, why, wide, cancel, onClose, onGo, children }: Props) {
  const box = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const element = box.current;
    if (element && !element.open) element.showModal();
    return () => element?.close();
  }, []);
  const submit = (event: Event) => {
    event.preventDefault();
    if (!disabled) void onGo();
  };
  return (
    <dialog ref={box} class={wide ? 'wide' : ''} aria-label={title} onCancel={(e) => { e.preventDefault(); onClose(); }}>
      <form method="dialog" onSubmit={submit} onKeyDown={(e) => { if (e.key === 'Enter' && e.ctrlKey && !e.isComposing) submit(e); }}>
        <div class="dh"><h2>{title}</h2>{lead && <div class="muted">{lead}</div>}</div>
        <div class="db">{children}</div>
        <div class="df">
          {why && <span class="hint grow">{why}</span>}
          <button type="button" class="btn lg" onClick={onClose}>{cancel ?? t('act.cancel')}</button>
          <button type="submit" class={`btn lg ${tone}`} disabled={disabled} title={disabled ? why : undefined}>{go}</button>
        </div>
      </form>
    </dialog>
  );
}

/** A dialog that only shows something. */
export function Sheet({ title, onClose, children }: { title: string; onClose: () => void; children: ComponentChildren }) {
  const box = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const element = box.current;
    if (element && !element.open) element.showModal();
    return () => element?.close();
  }, []);
  return (
    <dialog ref={box} class="sheetbox" aria-label={title} onCancel={(e) => { e.preventDefault(); onClose(); }} onClick={(e) => { if (e.target === box.current) onClose(); }}>
      <div class="dh row"><h2 class="grow">{title}</h2><button type="button" class="btn quiet" onClick={onClose}>{t('act.close')}</button></div>
      {children}
    </dialog>
  );
}
