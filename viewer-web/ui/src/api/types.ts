// Shapes of the server's JSON. Names as on the wire; times are ISO 8601 in UTC.
export interface Institution { id?: string | number; code: string; name: string; name_en?: string | null; kind?: string }
export interface Person { user: string; display_name: string }
export interface Session {
  user: string; display_name: string; roles: string[]; institution: Institution; permissions: string[]; expires_at: string; double_signature?: boolean;
}
export type Priority = 'STAT' | 'URGENT' | 'ROUTINE' | 'SCREENING';
export type StudyStatus = 'received' | 'to_write' | 'writing' | 'submitted' | 'returned' | 'signed' | 'amended' | 'rejected';
export interface Patient {
  id: string; name: string; name_pinyin?: string | null; sex?: 'M' | 'F' | 'O' | null; birth_date?: string | null; age_text?: string | null; identifier?: string | null; national_id_masked?: string | null;
}
export interface Holder extends Person { since: string; until: string; mine: boolean }
export interface MachineFlag { code: string; text_zh: string; text_en: string; critical: boolean }
export interface Acquisition { verdict: 'ok' | 'repeat_advised' | 'unusable'; reasons: { code: string; text_zh: string; text_en: string; verdict?: string }[] }
export interface WorklistItem {
  study_uid: string; accession_number?: string | null; status: StudyStatus; priority: Priority; modality: string; modalities?: string[]; body_part?: string | null;
  item_code?: string | null; item_name: string; study_description?: string | null; patient: Patient; institution: Institution; requested_at?: string | null; study_at?: string | null;
  received_at: string; waiting_s: number; due_at: string; overdue: boolean; images: number; series: number; priors: number; has_waveform: boolean; matched: boolean;
  critical?: { open: number } | null; machine_flags?: MachineFlag[]; acquisition?: Acquisition | null; claimed_by?: Holder | null; author?: Person | null; signer?: Person | null; report_status?: string | null; clinical_history?: string | null;
}
export type Tab = 'to_write' | 'to_review' | 'critical' | 'mine' | 'done';
export interface WorklistPage { items: WorklistItem[]; next_cursor?: string | null; counts?: Partial<Record<Tab, number>> }
export interface SeriesItem {
  series_uid: string; number?: number | null; modality: string; description?: string | null; kind: 'image' | 'waveform' | 'document' | 'other'; instances: number; frames: number; thumbnail?: string | null;
}
export interface RecognitionRecord { decision: 'recognised' | 'refused'; reason_code?: string | null; institution: Institution; by: Person; at: string; note?: string | null }
export interface HrMark { scope: string; text: string; valid_until?: string | null }
export interface PriorStudy { study_uid: string; modality: string; item_name: string; study_at: string; institution: Institution; signed: boolean; impression?: string | null }
export interface Study extends WorklistItem {
  series_list: SeriesItem[]; order?: Record<string, unknown> | null; recognition?: RecognitionRecord[]; hr_mark?: HrMark | null; permissions: string[]; priors_list?: PriorStudy[];
}
export type ReportStatus = 'none' | 'draft' | 'submitted' | 'returned' | 'signed' | 'amended' | 'revoked';
export interface Report {
  study_uid: string; status: ReportStatus; findings: string; impression: string; technique?: string | null; positive?: boolean | null; structured?: Record<string, unknown> | null;
  author?: Person | null; reviewer?: Person | null; signer?: Person | null; return_reason?: string | null; returned_by?: Person | null; updated_at?: string | null; submitted_at?: string | null; signed_at?: string | null;
  current_version?: number | null; etag?: string; editable_by_me: boolean; machine_draft?: { findings: string; impression: string } | null;
}
export interface ReportVersion { version: number; kind: 'original' | 'addendum' | 'correction' | 'revocation'; signed_at: string; author: Person; signer: Person; predecessor?: number | null; sha256: string }
export interface SignedReport extends ReportVersion { study_uid: string; findings: string; impression: string; text?: string | null; reason?: string | null; verify_code?: string | null }
export interface Template { id: string | number; title_zh: string; title_en: string; modality: string; body_part?: string | null; findings: string; impression: string }
export interface PatientRow { id: string; name: string; sex?: 'M' | 'F' | 'O' | null; birth_date?: string | null; identifier?: string | null; institution: Institution; studies: number; last_study_at?: string | null }
export interface TimelineItem {
  study_uid: string; at: string; modality: string; item_name: string; item_code?: string | null; body_part?: string | null; institution: Institution; reading_institution?: Institution | null; status: string;
  positive?: boolean | null; impression?: string | null; report_version?: number | null; hr_mark?: HrMark | null; recognisable: boolean; not_recognisable_reason?: string | null; not_recognisable_text?: string | null; permissions?: string[]; recognition?: RecognitionRecord[]; images: number; has_waveform: boolean;
}
export interface Timeline {
  patient: { id: string; name: string; sex?: 'M' | 'F' | 'O' | null; birth_date?: string | null; age_text?: string | null; identifiers?: { institution: Institution | string; identifier: string }[]; national_id_masked?: string | null };
  items: TimelineItem[];
}
export interface Reason { code: string; text_zh: string; text_en: string }
export type CriticalState = 'raised' | 'notified' | 'acknowledged' | 'acted' | 'closed';
export interface CriticalValue {
  id: string | number; study_uid: string; patient?: Patient | null; modality?: string | null; institution?: Institution | null; item_code: string; text: string; evidence?: unknown; state: CriticalState; due_at?: string | null;
  raised_at: string; raised_by?: Person | string | null; notified_at?: string | null; notified_by?: Person | string | null; acknowledged_at?: string | null; acknowledged_by?: Person | string | null;
  acted_at?: string | null; acted_by?: Person | string | null; closed_at?: string | null; closed_by?: Person | string | null; note?: string | null;
}
export interface Rejection { reason_code?: string; reason_text?: string | null; note?: string | null; by?: Person | string | null; at?: string | null }
export interface OrderItem {
  accession_number: string; study_uid: string; patient: Patient; modality: string; body_part?: string | null; item_code?: string | null; item_name: string; priority: Priority; scheduled_at?: string | null;
  state: string; ordered_at?: string | null; images?: number | null; report_status?: string | null; status?: string | null; rejected?: Rejection | null;
}
export interface CatalogueItem { code: string; name_zh: string; name_en: string; modality: string; body_part?: string | null }
export interface AuditRow {
  id: string | number; at: string; user?: string | null; role?: string | null; institution?: string | Institution | null; event: string; event_text_zh?: string | null; event_text_en?: string | null; action?: string | null; outcome: number | string; study_uid?: string | null; source_ip?: string | null; detail?: unknown;
}
export interface Page<T> { items: T[]; next_cursor?: string | null }
export interface Verified {
  valid: boolean; study_at?: string | null; item_name?: string | null; institution?: Institution | string | null; signer_name?: string | null; signed_at?: string | null; version?: number | null; patient_name_masked?: string | null; superseded_by?: number | string | null; revoked?: boolean;
}
export interface EcgAnalysis {
  format?: string; sampling_rate_hz: number; duration_s: number; leads: string[]; series_uid?: string; sop_instance_uid?: string; samples_uv_url?: string; rhythm: string; acquisition?: Acquisition | null;
  quality?: Record<string, { sqi?: number | null; flags?: string[] }>; beats?: { sample: number; label: string }[]; measurements: Record<string, unknown>;
  statements: { code: string; text_zh: string; text_en: string; category?: string; evidence?: unknown; evidence_zh?: unknown }[]; critical: { rule: string; ruleset?: string; citation?: string; text_zh: string; text_en: string; evidence?: unknown; evidence_zh?: unknown }[]; not_measurable?: Record<string, string>; not_measurable_zh?: Record<string, string> | null;
}
export interface EcgLayout { leads: string[]; samples: number; sampling_rate_hz: number; uv_per_unit: number }
export interface UploadedRecording {
  file: string; beside?: string[]; outcome: 'stored' | 'duplicate' | 'refused'; format?: string | null; measurable?: boolean | null; study_uid?: string | null; leads?: string[] | null; sampling_rate_hz?: number | null; duration_s?: number | null; warnings?: string[] | null;
  reason?: { code: string; text_zh: string; text_en: string } | null;
}
export interface KeptFile { sop_instance_uid: string; name: string; bytes: number; sha256: string; media_type: string; measurable: boolean; url: string }
export interface EcgChange { name: string; unit: string; current?: number | null; previous?: number | null; difference?: number | null; notable: boolean; reason_zh?: string | null; reason_en?: string | null }
interface EcgFinding { code: string; text_zh: string; text_en: string }
export interface EcgComparison {
  changes: EcgChange[]; st_mv: { lead: string; current?: number | null; previous?: number | null; difference?: number | null; notable: boolean }[];
  rhythm: { current: string; previous: string; changed: boolean }; statements: { new: EcgFinding[]; gone: EcgFinding[] };
}
export interface EcgPrevious { study_at: string; previous?: PriorStudy | null; comparison?: EcgComparison | null }
export interface EcgMarks { sampling_rate_hz: number; beats: Record<'p_on' | 'p_off' | 'qrs_on' | 'qrs_off' | 't_off', number | null>[] }
