// Who is signed in and what they may do.
import { signal } from '@preact/signals';
import { call, get, sessionEnded, ApiError } from './api/client';
import { url } from './api/paths';
import type { Session } from './api/types';
import { location_, navigate, pathOf } from './lib/router';
import { forgetLocal } from './lib/local';

export const session = signal<Session | null | undefined>(undefined);
export const sessionError = signal<ApiError | null>(null);

export const may = (permission: string): boolean => session.value?.permissions.includes(permission) ?? false;
export const hasRole = (...roles: string[]): boolean => roles.some((role) => session.value?.roles.includes(role));

export async function loadSession(): Promise<void> {
  sessionError.value = null;
  try {
    session.value = await get<Session>(url('session'), { quiet401: true });
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) session.value = null;
    else sessionError.value = error instanceof ApiError ? error : new ApiError(0, '');
  }
}

export async function signIn(user: string, password: string): Promise<void> {
  const { data } = await call<Session>('POST', url('session'), { body: { user, password }, quiet401: true });
  session.value = data;
}

export async function signOut(): Promise<void> {
  try {
    await call('DELETE', url('session'), { quiet401: true });
  } catch {
    // the cookie may already be gone; the page forgets either way
  }
  forgetLocal();
  session.value = null;
  navigate('/login');
}

sessionEnded.handler = () => {
  if (session.value === null) return;
  session.value = null;
  const here = pathOf(location_.value);
  if (!here.startsWith('/login')) navigate(`/login?next=${encodeURIComponent(location_.value)}`, true);
};

/** The page a person works on first. */
export function homePage(): string {
  if (may('worklist.read')) return '/worklist';
  if (hasRole('technician')) return '/orders';
  if (hasRole('clinician')) return '/patients';
  if (hasRole('auditor')) return '/audit';
  if (hasRole('county_admin')) return '/statistics';
  if (hasRole('security_admin')) return '/admin';
  return '/worklist';
}
