// Small questions about a study that several pages ask.
import type { PriorStudy, Study } from '../api/types';

/** The list of priors; the worklist form of the same object carries only their number. */
export function priorsOf(study: Study): PriorStudy[] {
  const priors: unknown = study.priors;
  if (Array.isArray(priors)) return priors as PriorStudy[];
  return study.priors_list ?? [];
}

export const isFinal = (status: string | null | undefined): boolean => status === 'signed' || status === 'amended' || status === 'revoked';
