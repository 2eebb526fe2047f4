import { switchLanguage, t } from '../i18n';
import { Icon } from './base';

export function LanguageSwitch() {
  return (
    <button type="button" class="btn quiet" data-testid="language-switch" aria-label={`${t('nav.languageShort')}: ${t('nav.language')}`} onClick={switchLanguage}>
      <Icon name="globe" />
      <span>{t('nav.languageShort')}</span>
    </button>
  );
}
