import { t, type Key } from '../i18n';
import { Sheet } from '../ui/dialog';

const KEYS: readonly [string[], Key][] = [
  [['J', 'K'], 'worklist.keys.move'], [['Enter'], 'worklist.keys.open'], [['Space'], 'worklist.keys.preview'], [['N'], 'worklist.keys.next'], [['E'], 'worklist.keys.reject'], [['/'], 'worklist.keys.search'],
];

export function KeysSheet({ onClose }: { onClose: () => void }) {
  return (
    <Sheet title={t('worklist.keys.all')} onClose={onClose}>
      <div class="db"><dl class="keylist">{KEYS.map(([keys, label]) => <><dt>{keys.map((k) => <kbd key={k}>{k}</kbd>)}</dt><dd>{t(label)}</dd></>)}</dl></div>
    </Sheet>
  );
}

export function WorklistFoot({ updated, onKeys }: { updated: string; onKeys: () => void }) {
  return (
    <footer class="foot">
      {KEYS.slice(0, 5).map(([keys, label]) => <span key={label}>{keys.map((k) => <kbd key={k}>{k}</kbd>)}{t(label)}</span>)}
      <button type="button" class="btn quiet" onClick={onKeys}><kbd>?</kbd>{t('worklist.keys.all')}</button>
      <span class="end faint">{updated}</span>
    </footer>
  );
}
