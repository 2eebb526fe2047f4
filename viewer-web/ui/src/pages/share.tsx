// Patient page: PIN first, then the signed report and pictures, made for a phone.
import { useEffect, useState } from 'preact/hooks';
import { ApiError, call } from '../api/client';
import { url } from '../api/paths';
import { t } from '../i18n';
import { useTitle } from '../lib/hooks';
import { fromWire, type Shared } from '../public/shared';
import { BrandMark, Empty, Icon, Note } from '../ui/base';
import { LanguageSwitch } from '../ui/language';
import { reasonOf } from '../ui/states';
import { setTheme } from '../ui/theme';
import { age, dateTime, sex } from '../lib/format';
import '../styles/public.css';

export default function SharePage({ token }: { token: string }) {
  const [pin, setPin] = useState('');
  const [error, setError] = useState('');
  const [dead, setDead] = useState(false);
  const [busy, setBusy] = useState(false);
  const [shared, setShared] = useState<Shared | null>(null);
  useTitle(`${t('share.title')} · ${t('app.name')}`);
  useEffect(() => setTheme('clinic'), []);
  const open = async (event: Event) => {
    event.preventDefault();
    if (!pin.trim() || busy) return;
    setBusy(true);
    setError('');
    try {
      setShared(fromWire((await call<unknown>('POST', url('shareOpen', { token }), { body: { pin: pin.trim() }, quiet401: true })).data));
    } catch (cause) {
      if (cause instanceof ApiError && (cause.status === 404 || cause.status === 410)) setDead(true);
      else setError(cause instanceof ApiError ? reasonOf(cause) : String(cause));
    }
    setBusy(false);
  };
  return (
    <div class="pub">
      <header class="pubbar"><span class="brand"><BrandMark />{t('app.name')}</span><LanguageSwitch /></header>
      <main>
        {dead && <Empty icon="lock" text={t('share.dead')}><span class="muted">{t('share.dead.more')}</span></Empty>}
        {!dead && !shared && (
          <form class="card pinform" onSubmit={open}>
            <h1>{t('share.title')}</h1>
            <p class="muted">{t('share.pin.lead')}</p>
            <div class="field"><label for="share-pin">{t('share.pin')}</label><input id="share-pin" class="in" inputMode="numeric" autocomplete="one-time-code" maxLength={12} value={pin} aria-invalid={error ? 'true' : undefined} aria-describedby="share-error" onInput={(e) => setPin(e.currentTarget.value)} /></div>
            <span class="hint bad" id="share-error" role="alert">{error && <><Icon name="alert" size="s" /> {error}</>}</span>
            <button type="submit" class="btn primary lg" disabled={busy || !pin.trim()}>{t('share.pin.go')}</button>
          </form>
        )}
        {shared && <Report shared={shared} />}
      </main>
    </div>
  );
}

function Report({ shared }: { shared: Shared }) {
  const [large, setLarge] = useState<string | null>(null);
  return (
    <article class="pubrep">
      <section class="card pad"><h1>{shared.name}</h1><p class="muted">{sex(shared.sex)} {age(shared.age_text, shared.birth_date)}</p>
        <dl class="kv">{shared.exam && <><dt>{t('field.exam')}</dt><dd>{shared.exam}</dd></>}{shared.at && <><dt>{t('verify.studyAt')}</dt><dd>{dateTime(shared.at)}</dd></>}{shared.place && <><dt>{t('field.institution')}</dt><dd>{shared.place}</dd></>}</dl></section>
      <section class="card pad"><h2>{t('share.impression')}</h2><p class="pre rt2 strong">{shared.impression}</p>{shared.extra && <p class="pre rt2">{shared.extra}</p>}<h2>{t('share.findings')}</h2><p class="pre rt2">{shared.findings}</p>
        {shared.signer && <p class="muted">{t('share.signed', { name: shared.signer, time: dateTime(shared.signed_at) })}</p>}</section>
      {shared.images.length > 0 && (
        <section class="card pad"><h2>{t('share.images')}</h2><Note tone="warn">{t('share.note')}</Note>
          <div class="pubimgs">{shared.images.map((src, k) => <button type="button" key={src} aria-label={`${t('share.images')} ${k + 1}`} onClick={() => setLarge(large === src ? null : src)}><img src={src} alt={`${t('share.images')} ${k + 1}`} loading="lazy" class={large === src ? 'large' : ''} /></button>)}</div></section>
      )}
    </article>
  );
}
