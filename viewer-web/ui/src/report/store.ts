// The report being written: autosave with If-Match, conflict, offline backup. Free of any drawing.
import { computed, signal } from '@preact/signals';
import { ApiError, call } from '../api/client';
import { url } from '../api/paths';
import type { Report } from '../api/types';
import { drop, keep, recall } from '../lib/local';
import { forgetStudy } from '../lib/study-cache';

const AUTOSAVE_MS = 2_500;
const RETRY_MS = 15_000;

export interface Draft { findings: string; impression: string; technique: string | null; positive: boolean | null; structured: Record<string, unknown> | null }
export type Phase = 'idle' | 'dirty' | 'saving' | 'saved' | 'offline' | 'conflict' | 'error';
export type Transport = (method: string, address: string, options?: { body?: unknown; etag?: string | null }) => Promise<{ data: Report; etag: string | null }>;

const draftOf = (r: Report): Draft => ({ findings: r.findings ?? '', impression: r.impression ?? '', technique: r.technique ?? null, positive: r.positive ?? null, structured: r.structured ?? null });
export const sameDraft = (a: Draft, b: Draft): boolean => JSON.stringify(a) === JSON.stringify(b);

export class ReportStore {
  readonly uid: string;
  readonly report = signal<Report | null>(null);
  readonly draft = signal<Draft>({ findings: '', impression: '', technique: null, positive: null, structured: null });
  readonly phase = signal<Phase>('idle');
  readonly message = signal('');
  readonly savedAt = signal<string | null>(null);
  readonly loadError = signal<ApiError | null>(null);
  /** The server's text when somebody else changed it meanwhile. */
  readonly theirs = signal<Report | null>(null);
  readonly editable = computed(() => this.report.value?.editable_by_me ?? false);
  private etag: string | null = null;
  private saved: Draft = this.draft.value;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private running: Promise<boolean> | null = null;
  private readonly transport: Transport;

  constructor(uid: string, transport: Transport = (method, address, options) => call<Report>(method, address, options)) {
    this.uid = uid;
    this.transport = transport;
  }

  private get dirty(): boolean {
    return !sameDraft(this.draft.value, this.saved);
  }

  async load(): Promise<void> {
    try {
      const { data, etag } = await this.transport('GET', url('report', { uid: this.uid }));
      this.loadError.value = null;
      const hadText = this.dirty;
      this.etag = etag ?? data.etag ?? null;
      this.report.value = data;
      if (!hadText || !data.editable_by_me) this.take(data);
      else this.saved = draftOf(data);
      const backup = recall<Draft>(this.backupKey);
      if (backup && data.editable_by_me && !hadText && !sameDraft(backup, draftOf(data))) {
        this.draft.value = backup;
        this.later();
      }
    } catch (cause) {
      this.loadError.value = cause instanceof ApiError ? cause : new ApiError(-1, String(cause));
    }
  }

  edit(part: Partial<Draft>): void {
    if (!this.editable.value) return;
    this.draft.value = { ...this.draft.value, ...part };
    if (!this.dirty) return;
    keep(this.backupKey, this.draft.value);
    if (this.phase.value !== 'conflict') this.phase.value = 'dirty';
    this.later();
  }

  /** Saves now; true when the server has the text. Saves never overlap. */
  async save(): Promise<boolean> {
    clearTimeout(this.timer);
    if (this.running) await this.running;
    if (this.phase.value === 'conflict') return false;
    if (!this.dirty) return true;
    this.running = this.put();
    try {
      return await this.running;
    } finally {
      this.running = null;
    }
  }

  private async put(): Promise<boolean> {
    const sending = this.draft.value;
    this.phase.value = 'saving';
    try {
      const body = Object.fromEntries(Object.entries(sending).filter(([, value]) => value !== null));
      const { data, etag } = await this.transport('PUT', url('reportDraft', { uid: this.uid }), { body, etag: this.etag });
      this.etag = etag ?? data.etag ?? this.etag;
      this.saved = sending;
      this.report.value = { ...data, findings: sending.findings, impression: sending.impression };
      this.savedAt.value = new Date().toISOString();
      this.message.value = '';
      if (this.dirty) {
        this.phase.value = 'dirty';
        this.later();
      } else {
        drop(this.backupKey);
        this.phase.value = 'saved';
      }
      return true;
    } catch (cause) {
      await this.failed(cause);
      return false;
    }
  }

  private async failed(cause: unknown): Promise<void> {
    const error = cause instanceof ApiError ? cause : new ApiError(-1, String(cause));
    this.message.value = error.message;
    if (error.status === 0) {
      this.phase.value = 'offline';
      this.timer = setTimeout(() => void this.save(), RETRY_MS);
    } else if (error.status === 412) {
      this.phase.value = 'conflict';
      try {
        const { data, etag } = await this.transport('GET', url('report', { uid: this.uid }));
        this.theirs.value = data;
        this.etag = etag ?? data.etag ?? null;
      } catch {
        this.theirs.value = null;
      }
    } else this.phase.value = 'error';
  }

  /** After a conflict: keep this text (saved over theirs) or take theirs. */
  async resolve(choice: 'mine' | 'theirs'): Promise<void> {
    const theirs = this.theirs.value;
    this.theirs.value = null;
    this.phase.value = 'dirty';
    if (choice === 'theirs' && theirs) {
      this.report.value = theirs;
      this.take(theirs);
      drop(this.backupKey);
      return;
    }
    if (theirs) this.saved = draftOf(theirs);
    await this.save();
  }

  /** Submit, return, sign or amend; saves first. Throws the server's refusal. */
  async act(action: 'reportSubmit' | 'reportReturn' | 'reportSign' | 'reportAmend', body: Record<string, unknown> = {}): Promise<void> {
    if (this.editable.value && !(await this.save())) throw new ApiError(-1, this.message.value);
    forgetStudy(this.uid);
    const { data, etag } = await this.transport('POST', url(action, { uid: this.uid }), { body });
    this.etag = etag ?? data?.etag ?? null;
    drop(this.backupKey);
    if (data?.status) {
      this.report.value = data;
      this.take(data);
    } else await this.load();
  }

  dispose(): void {
    clearTimeout(this.timer);
    if (this.dirty && this.editable.value && this.phase.value !== 'conflict') void this.save();
  }

  private take(report: Report): void {
    this.draft.value = draftOf(report);
    this.saved = this.draft.value;
    if (report.updated_at) this.savedAt.value = report.updated_at;
    this.phase.value = 'idle';
  }

  private later(): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.save(), AUTOSAVE_MS);
  }

  private get backupKey(): string {
    return `draft.${this.uid}`;
  }
}
