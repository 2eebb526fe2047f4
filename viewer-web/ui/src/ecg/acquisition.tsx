// Whether a recording will do: the gate's word with its reasons, the same on list, page and upload.
import type { Acquisition } from '../api/types';
import { pick, t } from '../i18n';
import { Note, Tag } from '../ui/base';

const TONES = { ok: 'ok', repeat_advised: 'warn', unusable: 'crit' } as const;
const known = (verdict: string): verdict is keyof typeof TONES => verdict in TONES;

/** Reasons in one line, remarks left out. */
export const gateReasons = (gate: Acquisition): string => gate.reasons.filter((r) => r.verdict !== 'ok').map((r) => pick(r.text_zh, r.text_en)).join(pick('；', '; '));

/** The word alone; nothing while all is well, unless it is asked for. */
export function GateTag({ gate, always = false }: { gate: Acquisition | null | undefined; always?: boolean }) {
  if (!gate || !known(gate.verdict) || (gate.verdict === 'ok' && !always)) return null;
  return <Tag tone={TONES[gate.verdict]} icon={gate.verdict === 'ok' ? 'check' : 'alert'} title={gateReasons(gate) || undefined}>{t(`ecg.gate.${gate.verdict}`)}</Tag>;
}

/** The word with its reasons; nothing while all is well. */
export function GateNote({ gate }: { gate: Acquisition | null | undefined }) {
  if (!gate || !known(gate.verdict) || gate.verdict === 'ok') return null;
  return <Note tone={gate.verdict === 'unusable' ? 'crit' : 'warn'} title={t(`ecg.gate.${gate.verdict}`)}>{gateReasons(gate)}</Note>;
}
