// Every server address the application calls, in one list. `{name}` is a path parameter.
// Each entry under /api must exist in openapi.json; tests compare this list with it.
export const paths = {
  session: '/api/session',
  worklist: '/api/worklist',
  events: '/api/events',
  orders: '/api/orders',
  items: '/api/items',
  study: '/api/studies/{uid}',
  claim: '/api/studies/{uid}/claim',
  reject: '/api/studies/{uid}/reject',
  rejectReasons: '/api/reject-reasons',
  report: '/api/studies/{uid}/report',
  reportDraft: '/api/studies/{uid}/report/draft',
  reportSubmit: '/api/studies/{uid}/report/submit',
  reportReturn: '/api/studies/{uid}/report/return',
  reportSign: '/api/studies/{uid}/report/sign',
  reportAmend: '/api/studies/{uid}/report/amend',
  reportVersions: '/api/studies/{uid}/report/versions',
  reportVersion: '/api/studies/{uid}/report/versions/{version}',
  reportPdf: '/api/studies/{uid}/report.pdf',
  templates: '/api/templates',
  raiseCritical: '/api/studies/{uid}/critical-values',
  criticalValues: '/api/critical-values',
  criticalItems: '/api/critical-items',
  criticalNotify: '/api/critical-values/{id}/notify',
  criticalAcknowledge: '/api/critical-values/{id}/acknowledge',
  criticalAct: '/api/critical-values/{id}/act',
  criticalClose: '/api/critical-values/{id}/close',
  recognition: '/api/studies/{uid}/recognition',
  recognitionReasons: '/api/recognition/reasons',
  recognitionCandidates: '/api/recognition/candidates',
  patients: '/api/patients',
  timeline: '/api/patients/{id}/timeline',
  shares: '/api/studies/{uid}/shares',
  share: '/api/studies/{uid}/shares/{id}',
  shareOpen: '/api/shares/{token}/open',
  verify: '/api/verify/{code}',
  ecg: '/api/studies/{uid}/ecg',
  ecgSamples: '/api/studies/{uid}/ecg/samples',
  ecgRecordings: '/api/ecg/recordings',
  ecgPrevious: '/api/studies/{uid}/ecg/previous',
  ecgMarks: '/api/studies/{uid}/ecg/marks',
  ecgFiles: '/api/studies/{uid}/ecg/files',
  ecgPdf: '/api/studies/{uid}/ecg.pdf',
  statisticsRecognition: '/api/statistics/recognition',
  statisticsTurnaround: '/api/statistics/turnaround',
  statisticsLoad: '/api/statistics/load',
  statisticsQuality: '/api/statistics/quality',
  statisticsWeekly: '/api/statistics/weekly.csv',
  audit: '/api/audit',
  adminUsers: '/api/admin/users',
  adminDevices: '/api/admin/devices',
  institutions: '/api/institutions',
} as const;

export type PathName = keyof typeof paths;
export type Query = Record<string, string | number | boolean | undefined | null>;

/** Fills the `{name}` parts (percent-encoded) and appends the query; empty query values are left out. */
export function url(name: PathName, params: Record<string, string | number> = {}, query: Query = {}): string {
  const path = paths[name].replace(/\{(\w+)\}/g, (_, key: string) => {
    const value = params[key];
    if (value === undefined) throw new Error(`path ${name} needs ${key}`);
    return encodeURIComponent(String(value));
  });
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    if (value !== undefined && value !== null && value !== '') search.set(key, String(value));
  }
  const text = search.toString();
  return text ? `${path}?${text}` : path;
}
