// Login: one form, one picture. The picture is left out on narrow screens.
import { useEffect, useRef, useState } from 'preact/hooks';
import { ApiError } from '../api/client';
import { t } from '../i18n';
import { location_, navigate } from '../lib/router';
import { homePage, session, signIn } from '../session';
import { BrandMark, Icon } from '../ui/base';
import { LanguageSwitch } from '../ui/language';
import { drawLoginArt } from './login-art';
import '../styles/login.css';

/** Only a path of this application may follow a login. */
export function safeNext(address: string): string | null {
  const next = new URLSearchParams(address.split('?')[1] ?? '').get('next');
  return next && /^\/[a-z]/.test(next) && !next.startsWith('/login') ? next : null;
}

function messageOf(error: unknown): string {
  if (!(error instanceof ApiError)) return String(error);
  if (error.status === 0) return t('login.offline');
  const wait = Number(error.body.retry_after_s);
  const text = error.message || t('login.wrong');
  return wait > 0 ? `${text} ${t('login.retry', { n: wait })}` : text;
}

export default function LoginPage() {
  const [user, setUser] = useState('');
  const [password, setPassword] = useState('');
  const [error, setError] = useState('');
  const [busy, setBusy] = useState(false);
  const art = useRef<HTMLCanvasElement>(null);

  useEffect(() => {
    document.documentElement.dataset.theme = 'clinic';
    document.title = `${t('login.title')} · ${t('app.name')}`;
    if (session.value) navigate(safeNext(location_.value) ?? homePage(), true);
  });
  useEffect(() => (art.current ? drawLoginArt(art.current) : undefined), []);

  const submit = async (event: Event) => {
    event.preventDefault();
    if (busy) return;
    if (!user.trim() || !password) return setError(t('login.empty'));
    setBusy(true);
    setError('');
    try {
      await signIn(user.trim(), password);
      navigate(safeNext(location_.value) ?? homePage(), true);
    } catch (cause) {
      setError(messageOf(cause));
    } finally {
      setBusy(false);
    }
  };

  return (
    <div class="login">
      <section class="art" aria-hidden="true">
        <canvas ref={art} />
        <div class="b"><BrandMark />共影 Gongying</div>
        <div><p class="slogan">{t('login.slogan')}</p><p>{t('login.community')}</p></div>
      </section>
      <main class="pane">
        <div class="tp"><LanguageSwitch /></div>
        <form onSubmit={submit}>
          <div class="mb"><BrandMark />{t('app.name')}</div>
          <div><h1>{t('login.title')}</h1><p class="muted sub1">{t('login.community')}</p></div>
          <div class="field">
            <label for="login-user">{t('login.account')}</label>
            <input id="login-user" class="in" data-testid="login-user" autocomplete="username" autocapitalize="none" spellcheck={false} value={user} onInput={(e) => setUser(e.currentTarget.value)} />
          </div>
          <div class="field">
            <label for="login-password">{t('login.password')}</label>
            <input id="login-password" class="in" type="password" data-testid="login-password" autocomplete="current-password" value={password} onInput={(e) => setPassword(e.currentTarget.value)}
              aria-invalid={error ? 'true' : undefined} aria-describedby="login-error" />
            <span class="hint bad row" id="login-error" role="alert">{error && <><Icon name="alert" size="s" />{error}</>}</span>
          </div>
          <button class="btn primary" type="submit" data-testid="login-submit" disabled={busy}>{busy ? t('login.busy') : t('login.submit')}</button>
          <p class="hint">{t('login.hint')}</p>
        </form>
      </main>
    </div>
  );
}
