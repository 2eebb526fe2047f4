// Pages and their addresses. A page chunk is fetched when first opened.
import type { FunctionComponent } from 'preact';
import { match } from './lib/router';

export const routes = [
  ['login', '/login'],
  ['worklist', '/worklist'],
  ['study', '/study/{uid}'],
  ['orders', '/orders'],
  ['patients', '/patients'],
  ['patient', '/patients/{id}'],
  ['critical', '/critical'],
  ['statistics', '/statistics'],
  ['admin', '/admin'],
  ['audit', '/audit'],
  ['share', '/share/{token}'],
  ['verify', '/verify/{code}'],
  ['home', '/'],
] as const;

export type PageName = (typeof routes)[number][0];
type Loader = () => Promise<{ default: FunctionComponent<Record<string, string>> }>;

export const loaders: Partial<Record<PageName, Loader>> = {
  login: () => import('./pages/login') as never,
  worklist: () => import('./pages/worklist') as never,
  study: () => import('./pages/study') as never,
  orders: () => import('./pages/orders') as never,
  patients: () => import('./pages/patients') as never,
  patient: () => import('./pages/patient') as never,
  critical: () => import('./pages/critical') as never,
  statistics: () => import('./pages/statistics') as never,
  admin: () => import('./pages/admin') as never,
  audit: () => import('./pages/audit') as never,
  share: () => import('./pages/share') as never,
  verify: () => import('./pages/verify') as never,
};

/** Pages that open without a session. */
export const openPages: readonly string[] = ['login', 'share', 'verify'];

export const isPage = (path: string): boolean => match(routes, path) !== null;
