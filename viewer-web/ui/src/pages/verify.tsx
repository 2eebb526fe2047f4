// Anybody with a paper report may check it here; names are masked.
import { useEffect } from 'preact/hooks';
import { ApiError, get } from '../api/client';
import { url } from '../api/paths';
import type { Verified } from '../api/types';
import { t } from '../i18n';
import { dateTime, institution } from '../lib/format';
import { useResource, useTitle } from '../lib/hooks';
import { BrandMark, Note } from '../ui/base';
import { LanguageSwitch } from '../ui/language';
import { ErrorNote, Skeleton } from '../ui/states';
import { setTheme } from '../ui/theme';
import '../styles/public.css';

export default function VerifyPage({ code }: { code: string }) {
  const found = useResource(code, () => get<Verified>(url('verify', { code }), { quiet401: true }));
  useTitle(`${t('verify.title')} · ${t('app.name')}`);
  useEffect(() => setTheme('clinic'), []);
  const v = found.data;
  const unknown = found.error instanceof ApiError && (found.error.status === 404 || found.error.status === 410 || found.error.status === 400);
  return (
    <div class="pub">
      <header class="pubbar"><span class="brand"><BrandMark />{t('app.name')}</span><LanguageSwitch /></header>
      <main>
        <section class="card pad"><h1>{t('verify.title')}</h1><p class="muted">{t('verify.code')} <span class="mono">{code}</span></p>
          {found.loading && !v && <Skeleton rows={4} />}
          {unknown && <Note tone="crit" title={t('verify.invalid')}>{t('verify.unknown')}</Note>}
          {found.error && !unknown && <ErrorNote error={found.error} onRetry={() => void found.reload()} />}
          {v?.revoked && <Note tone="crit" title={t('verify.revoked')} />}
          {v && !v.revoked && (v.valid ? <Note tone="ok" icon="shield" title={t('verify.valid')}>{t('verify.compare')}</Note> : <Note tone="crit" title={t('verify.invalid')} />)}
          {v?.superseded_by && <Note tone="warn" title={t('verify.superseded')} />}
          {v && (
            <dl class="kv">
              <dt>{t('field.patient')}</dt><dd>{v.patient_name_masked}</dd>
              <dt>{t('field.exam')}</dt><dd>{v.item_name}</dd>
              <dt>{t('verify.studyAt')}</dt><dd>{dateTime(v.study_at)}</dd>
              <dt>{t('field.institution')}</dt><dd>{institution(v.institution)}</dd>
              <dt>{t('verify.signer')}</dt><dd>{v.signer_name}</dd>
              <dt>{t('verify.signedAt')}</dt><dd>{dateTime(v.signed_at)}</dd>
              <dt>{t('timeline.version')}</dt><dd>{t('timeline.versionN', { n: v.version ?? 1 })}</dd>
            </dl>
          )}
        </section>
      </main>
    </div>
  );
}
