// Chooses the page for the address, after the session is known.
import { useComputed } from '@preact/signals';
import { Component, type ComponentChildren, type FunctionComponent } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { t } from './i18n';
import { location_, match, navigate, pathOf } from './lib/router';
import { loaders, openPages, routes, type PageName } from './routes';
import { homePage, loadSession, session, sessionError } from './session';
import { Empty } from './ui/base';

/** A page that fails says so and offers to start again; the rest of the browser session is kept. */
class Guard extends Component<{ children: ComponentChildren }, { failed: boolean }> {
  override state = { failed: false };
  static override getDerivedStateFromError() {
    return { failed: true };
  }
  override componentDidCatch(error: unknown) {
    console.error(error);
  }
  override render() {
    if (!this.state.failed) return this.props.children;
    return <Empty icon="alert" text={t('state.broken')}><button type="button" class="btn" onClick={() => location.reload()}>{t('state.reload')}</button></Empty>;
  }
}

const loaded = new Map<string, FunctionComponent<Record<string, string>>>();

export function App() {
  const found = useComputed(() => match(routes, pathOf(location_.value)));
  const name = (found.value?.name ?? 'missing') as PageName | 'missing';
  const [, redraw] = useState(0);
  const needsSession = !openPages.includes(name);

  useEffect(() => {
    if (session.value === undefined && (needsSession || name === 'login')) void loadSession();
  }, [needsSession]);
  useEffect(() => {
    if (needsSession && session.value === null) navigate(`/login?next=${encodeURIComponent(location_.value)}`, true);
    else if (name === 'home' && session.value) navigate(homePage(), true);
  });
  useEffect(() => {
    const load = loaders[name as PageName];
    if (!load || loaded.has(name)) return;
    void load().then((module) => {
      loaded.set(name, module.default);
      redraw((n) => n + 1);
    });
  }, [name]);

  if (name === 'missing') return <Empty icon="search" text={t('state.notFound')}><span class="muted">{t('state.notFoundHint')}</span><a href="/">{t('state.toWorklist')}</a></Empty>;
  if (needsSession && sessionError.value) return <Empty icon="offline" text={t('state.network')}><button type="button" class="btn" onClick={loadSession}>{t('act.retry')}</button></Empty>;
  if (needsSession && !session.value) return null;
  const Page = loaded.get(name);
  return Page ? <Guard key={location_.value}><Page {...(found.value?.params ?? {})} /></Guard> : null;
}
