// The address bar as a signal: own links change the page without a reload.
import { signal } from '@preact/signals';

export const location_ = signal(typeof location === 'undefined' ? '/' : location.pathname + location.search);

/** Path without the query. */
export const pathOf = (address: string): string => address.split('?')[0] ?? '/';

export function navigate(to: string, replace = false): void {
  if (to === location_.value) return;
  history[replace ? 'replaceState' : 'pushState'](null, '', to);
  location_.value = to;
  if (!replace) scrollTo(0, 0);
}

export interface Match { name: string; params: Record<string, string> }

/** First route whose pattern (`/study/{uid}`) fits the path. */
export function match(routes: readonly (readonly [string, string])[], path: string): Match | null {
  const clean = path.length > 1 ? path.replace(/\/+$/, '') : path;
  for (const [name, pattern] of routes) {
    const names: string[] = [];
    const expression = pattern.replace(/[.]/g, '\\.').replace(/\{(\w+)\}/g, (_, key: string) => {
      names.push(key);
      return '([^/]+)';
    });
    const found = new RegExp(`^${expression}$`).exec(clean);
    if (!found) continue;
    const params: Record<string, string> = {};
    names.forEach((key, i) => (params[key] = safeDecode(found[i + 1] ?? '')));
    return { name, params };
  }
  return null;
}

function safeDecode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Catches clicks on plain links to pages of this application. */
export function interceptLinks(isPage: (path: string) => boolean): void {
  addEventListener('popstate', () => (location_.value = location.pathname + location.search));
  document.addEventListener('click', (event) => {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = (event.target as Element | null)?.closest?.('a[href]');
    if (!link || link.getAttribute('target') || link.hasAttribute('download')) return;
    const to = new URL((link as HTMLAnchorElement).href);
    if (to.origin !== location.origin || !isPage(to.pathname)) return;
    event.preventDefault();
    navigate(to.pathname + to.search);
  });
}
