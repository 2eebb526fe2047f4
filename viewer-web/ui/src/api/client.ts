// One way to talk to the server: same origin, cookie session, JSON, problem details, time limit, ETag.
import { signal } from '@preact/signals';
import { language } from '../i18n';

const REQUEST_TIMEOUT_MS = 30_000;
/** A file of some megabytes over a thin line. */
const UPLOAD_TIMEOUT_MS = 15 * 60_000;

/** RFC 9457 problem as the server sends it, or a network failure (status 0). */
export class ApiError extends Error {
  readonly status: number;
  readonly body: Record<string, unknown>;
  constructor(status: number, message: string, body: Record<string, unknown> = {}) {
    super(message);
    this.status = status;
    this.body = body;
  }
}

/** False while requests fail for want of a connection; `lastContact` is the time of the last answer. */
export const online = signal(true);
export const lastContact = signal(Date.now());
export const latencyMs = signal<number | null>(null);

/** Called when the server says that the session has ended. */
export const sessionEnded = { handler: () => {} };

export interface Answer<T> { data: T; etag: string | null; status: number }
export interface Options { body?: unknown; form?: FormData; etag?: string | null; signal?: AbortSignal; quiet401?: boolean }

export async function call<T>(method: string, address: string, options: Options = {}): Promise<Answer<T>> {
  const response = await send(method, address, options);
  const text = await response.text();
  const data = (text ? JSON.parse(text) : null) as T;
  return { data, etag: response.headers.get('etag'), status: response.status };
}

export async function get<T>(address: string, options: Options = {}): Promise<T> {
  return (await call<T>('GET', address, options)).data;
}

export async function binary(address: string, options: Options = {}): Promise<{ bytes: ArrayBuffer; headers: Headers }> {
  const response = await send('GET', address, options);
  return { bytes: await response.arrayBuffer(), headers: response.headers };
}

async function send(method: string, address: string, options: Options): Promise<Response> {
  const headers: Record<string, string> = { Accept: 'application/json', 'Accept-Language': language.value === 'zh' ? 'zh-CN' : 'en' };
  if (options.body !== undefined) headers['Content-Type'] = 'application/json';
  if (options.etag) headers['If-Match'] = options.etag;
  const limit = AbortSignal.timeout(options.form ? UPLOAD_TIMEOUT_MS : REQUEST_TIMEOUT_MS);
  const started = performance.now();
  let response: Response;
  try {
    response = await fetch(address, {
      method,
      headers,
      body: options.form ?? (options.body === undefined ? undefined : JSON.stringify(options.body)),
      signal: options.signal ? AbortSignal.any([options.signal, limit]) : limit,
      credentials: 'same-origin',
    });
  } catch (cause) {
    if (options.signal?.aborted) throw cause;
    online.value = false;
    throw new ApiError(0, '');
  }
  online.value = true;
  lastContact.value = Date.now();
  latencyMs.value = Math.round(performance.now() - started);
  if (response.ok) return response;
  if (response.status === 401 && !options.quiet401) sessionEnded.handler();
  throw await problem(response);
}

async function problem(response: Response): Promise<ApiError> {
  let body: Record<string, unknown> = {};
  try {
    body = (await response.json()) as Record<string, unknown>;
  } catch {
    // not a problem document: the status line alone must do
  }
  const message = String(body.detail ?? body.title ?? `${response.status} ${response.statusText}`);
  return new ApiError(response.status, message, body);
}
