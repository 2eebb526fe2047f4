// Plain-text help for report writing: blanks of templates, checks before signing, inserting. Pure.

export interface Span { start: number; end: number }

/** Blanks of a template, 【…】, in order. */
export function blanks(text: string): Span[] {
  const found: Span[] = [];
  for (const m of text.matchAll(/【[^【】]*】/g)) found.push({ start: m.index, end: m.index + m[0].length });
  return found;
}

/** The next blank at or after the caret, else the first one. */
export function nextBlank(text: string, caret: number): Span | null {
  const all = blanks(text);
  return all.find((b) => b.start >= caret) ?? all[0] ?? null;
}

/** Adds a block below what is there. */
export const append = (text: string, addition: string): string => (text.trim() ? `${text.replace(/\s+$/, '')}\n${addition}` : addition);

export type Side = 'left' | 'right';
/** Sides named in a text; "双侧" and "bilateral" name both. */
export function sides(text: string): Set<Side> {
  const found = new Set<Side>();
  if (/左|\bleft\b/i.test(text)) found.add('left');
  if (/右|\bright\b/i.test(text)) found.add('right');
  if (/双侧|两侧|双肺|两肺|bilateral/i.test(text)) {
    found.add('left');
    found.add('right');
  }
  return found;
}

export interface Checks { blanksFilled: boolean; sidesAgree: boolean; impressionGiven: boolean; twoPersons: boolean }

/** What is looked at before signing. A side named in the impression must occur in the findings. */
export function checkReport(findings: string, impression: string, author: string | undefined, signer: string): Checks {
  const said = sides(findings);
  return {
    blanksFilled: blanks(findings).length + blanks(impression).length === 0,
    sidesAgree: said.size === 0 || [...sides(impression)].every((side) => said.has(side)),
    impressionGiven: impression.trim().length > 0,
    twoPersons: !author || author !== signer,
  };
}
