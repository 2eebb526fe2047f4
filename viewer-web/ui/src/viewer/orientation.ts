// Which side of the patient is at which edge of the picture (PS3.3 C.7.6.2: LPS axes), after rotation and flips.

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

/** Edge letters for row and column cosines, clockwise rotation in quarter turns and flips on the screen. */
export function edgeLetters(cosines: readonly number[] | null, rotation_deg: number, flipHorizontal = false, flipVertical = false): EdgeLetters | null {
  if (!cosines || cosines.length !== 6) return null;
  const row = cosines.slice(0, 3);
  const column = cosines.slice(3);
  const minus = (v: readonly number[]) => v.map((x) => -x);
  let edges = [minus(column), row, column, minus(row)]; // top, right, bottom, left
  if (flipHorizontal) edges = [edges[0], edges[3], edges[2], edges[1]] as number[][];
  if (flipVertical) edges = [edges[2], edges[1], edges[0], edges[3]] as number[][];
  const turns = (((Math.round(rotation_deg / 90) % 4) + 4) % 4);
  for (let k = 0; k < turns; k++) edges = [edges[3], edges[0], edges[1], edges[2]] as number[][];
  const [top, right, bottom, left] = edges.map(directionLetters);
  return { top: top ?? '', right: right ?? '', bottom: bottom ?? '', left: left ?? '' };
}
