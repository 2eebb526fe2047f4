// Template drawer under the report: search, choose, blanks are visited with Tab.
import { useState } from 'preact/hooks';
import { templates } from '../api/actions';
import type { Study, Template } from '../api/types';
import { pick, t } from '../i18n';
import { useResource } from '../lib/hooks';
import { Icon } from '../ui/base';
import { ErrorNote } from '../ui/states';

export function Templates({ study, onUse, onHide }: { study: Study; onUse: (template: Template) => void; onHide: () => void }) {
  const [query, setQuery] = useState('');
  const list = useResource(study.modality, () => templates(study.modality));
  const wanted = query.trim().toLowerCase();
  const shown = (list.data ?? []).filter((item) => !wanted || `${item.title_zh} ${item.title_en} ${item.findings} ${item.impression}`.toLowerCase().includes(wanted));
  const ranked = [...shown].sort((a, b) => Number(b.body_part === study.body_part) - Number(a.body_part === study.body_part));
  return (
    <section class="drawer" aria-label={t('template.title')}>
      <header class="row">
        <Icon name="tpl" /><b>{t('template.title')}</b>
        <label class="search grow"><Icon name="search" /><input id="template-search" class="in" value={query} placeholder={t('template.search')} aria-label={t('template.search')} onInput={(e) => setQuery(e.currentTarget.value)} /></label>
        <button type="button" class="btn quiet icon" aria-label={t('template.hide')} title={t('template.hide')} onClick={onHide}><Icon name="down" /></button>
      </header>
      {list.error && <ErrorNote error={list.error} onRetry={() => void list.reload()} />}
      {list.data && ranked.length === 0 && <p class="none faint">{t('template.none')}</p>}
      <ul tabindex={-1}>
        {ranked.map((item) => (
          <li key={item.id}><button type="button" onClick={() => onUse(item)}><b>{pick(item.title_zh, item.title_en)}</b><span>{item.findings || item.impression}</span></button></li>
        ))}
      </ul>
    </section>
  );
}
