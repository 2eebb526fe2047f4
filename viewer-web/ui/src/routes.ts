// Pages and their addresses. A page chunk is fetched when first opened.
import type { FunctionComponent } from 'preact';
import { match } from './lib/router';

export const routes = [
  ['login', '/login'],
  ['home', '/'],
] as const;

export type PageName = (typeof routes)[number][0];
type Loader = () => Promise<{ default: FunctionComponent<Record<string, string>> }>;

export const loaders: Partial<Record<PageName, Loader>> = {
  login: () => import('./pages/login') as never,
};

/** Pages that open without a session. */
export const openPages: readonly string[] = ['login'];

export const isPage = (path: string): boolean => match(routes, path) !== null;
