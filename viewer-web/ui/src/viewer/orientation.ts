// Which side of the patient is at which edge of the picture (PS3.3 C.7.6.2: LPS axes).

export interface EdgeLetters { top: string; right: string; bottom: string; left: string }

/** Letters of a direction, strongest axis first: "A", "LP". Small parts are left out. */
export function directionLetters(v: readonly number[]): string {
  const MIN_PART = 0.3;
  const names: [string, string][] = [['L', 'R'], ['P', 'A'], ['H', 'F']];
  return v
    .map((value, axis) => ({ size: Math.abs(value), letter: value > 0 ? (names[axis]?.[0] ?? '') : (names[axis]?.[1] ?? '') }))
    .filter((part) => part.size > MIN_PART)
    .sort((a, b) => b.size - a.size)
    .map((part) => part.letter)
    .join('')
    .slice(0, 2);
}

/** Edge letters for the patient directions that point right and down on the screen. */
export function edgeLetters(directions: readonly number[] | null): EdgeLetters | null {
  if (!directions || directions.length !== 6 || !directions.every(Number.isFinite)) return null;
  const right = directions.slice(0, 3);
  const down = directions.slice(3);
  const minus = (v: readonly number[]) => v.map((x) => -x);
  return { top: directionLetters(minus(down)), right: directionLetters(right), bottom: directionLetters(down), left: directionLetters(minus(right)) };
}
