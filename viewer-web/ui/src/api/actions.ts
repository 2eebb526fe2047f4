// What a person does to a study, each one call.
import { signal } from '@preact/signals';
import { ApiError, call, get } from './client';
import { url, type PathName } from './paths';
import type { CriticalValue, Holder, Page, Reason, RecognitionRecord, Template } from './types';
import { forgetStudy } from '../lib/study-cache';

/** The study whose claim this browser changed last; an open page of it loads anew. */
export const claimChanged = signal<{ uid: string; at: number } | null>(null);

export async function claim(uid: string): Promise<Holder> {
  forgetStudy(uid);
  const { data } = await call<{ holder: Holder }>('POST', url('claim', { uid }), { body: {} });
  forgetStudy(uid);
  claimChanged.value = { uid, at: Date.now() };
  return data.holder;
}

export async function release(uid: string): Promise<void> {
  forgetStudy(uid);
  await call('DELETE', url('claim', { uid }));
}

export async function rejectStudy(uid: string, reason_code: string, note: string): Promise<void> {
  forgetStudy(uid);
  await call('POST', url('reject', { uid }), { body: { reason_code, ...(note ? { note } : {}) } });
}

export async function decideRecognition(uid: string, decision: 'recognised' | 'refused', reason_code?: string, note?: string): Promise<RecognitionRecord> {
  forgetStudy(uid);
  return (await call<RecognitionRecord>('POST', url('recognition', { uid }), { body: { decision, ...(reason_code ? { reason_code } : {}), ...(note ? { note } : {}) } })).data;
}

export async function raiseCritical(uid: string, item_code: string, text: string, evidence: string): Promise<CriticalValue> {
  forgetStudy(uid);
  return (await call<CriticalValue>('POST', url('raiseCritical', { uid }), { body: { item_code, text, evidence } })).data;
}

/** Lists that do not change while the page is open, fetched once. */
function once<T>(name: PathName): () => Promise<T[]> {
  let held: Promise<T[]> | null = null;
  return () => {
    held ??= get<Page<T>>(url(name)).then((page) => page.items);
    held.catch(() => (held = null));
    return held;
  };
}

/** The six reasons for not using a result. */
export const recognitionReasons = once<Reason>('recognitionReasons');
/** Why a study may go back to its sender. */
export const rejectReasons = once<Reason>('rejectReasons');
/** Names of critical values; `kind` says for images or ECG. */
export const criticalItems = once<Reason & { kind?: string }>('criticalItems');

export const templates = async (modality: string, body_part?: string | null): Promise<Template[]> =>
  (await get<Page<Template>>(url('templates', {}, { modality, body_part }))).items;

/** The person named in a 409 answer to a claim. */
export function holderOf(error: unknown): Holder | null {
  if (!(error instanceof ApiError) || error.status !== 409) return null;
  return (error.body.holder as Holder | undefined) ?? null;
}
