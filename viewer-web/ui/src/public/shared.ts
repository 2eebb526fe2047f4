// What a share link opens, read from the server's answer. Pure.
import { institution, person } from '../lib/format';

export interface Shared { name: string; sex: string | null; age_text: string | null; birth_date: string | null; exam: string; at: string | null; place: string; findings: string; impression: string; extra: string; signer: string; signed_at: string | null; images: string[] }
type Part = Record<string, unknown>;

const part = (value: unknown): Part => (value && typeof value === 'object' ? (value as Part) : {});
const text = (...values: unknown[]): string => String(values.find((value) => typeof value === 'string' && value) ?? '');

/** Only pictures of this origin are shown. */
function address(value: unknown): string | null {
  const found = typeof value === 'string' ? value : text(part(value).url, part(value).href);
  return /^\/(?!\/)/.test(found) ? found : null;
}

export function fromWire(answer: unknown): Shared {
  const whole = part(answer);
  const report = part(whole.report);
  const study = part(whole.study ?? whole);
  const patient = part(whole.patient);
  return {
    name: text(patient.name), sex: text(patient.sex) || null, age_text: text(patient.age_text) || null, birth_date: text(patient.birth_date) || null,
    exam: [text(study.modality, report.modality), text(study.item_name, report.item_name)].filter(Boolean).join(' '),
    at: text(study.study_at, report.study_at) || null,
    place: institution((study.institution ?? report.institution) as never),
    findings: text(report.findings), impression: text(report.impression), extra: text(report.text),
    signer: person((report.signer ?? text(report.signer_name)) as never), signed_at: text(report.signed_at) || null,
    images: (Array.isArray(whole.images) ? whole.images : []).map(address).filter((src): src is string => !!src),
  };
}
