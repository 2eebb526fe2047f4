// Light clinic theme for lists and ECG, dark reading theme for images; the lists may be switched.
import { signal } from '@preact/signals';

export type Theme = 'clinic' | 'reading';
const STORE = 'gongying.theme';
const stored = typeof localStorage === 'undefined' ? null : localStorage.getItem(STORE);
export const clinicTheme = signal<Theme>(stored === 'reading' ? 'reading' : 'clinic');

export function toggleTheme(): void {
  clinicTheme.value = clinicTheme.value === 'clinic' ? 'reading' : 'clinic';
  localStorage.setItem(STORE, clinicTheme.value);
  document.documentElement.dataset.theme = clinicTheme.value;
}

export const setTheme = (theme: Theme) => {
  document.documentElement.dataset.theme = theme;
};
