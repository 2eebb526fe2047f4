// Chinese resident identity number (GB 11643-1999): check digit, birth date, sex. Pure.

const WEIGHTS = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
const CHECK = '10X98765432';

export type IdCheck = { state: 'empty' | 'short' | 'invalid' } | { state: 'ok'; birth_date: string; sex: 'M' | 'F' };

export function checkNationalId(text: string): IdCheck {
  const id = text.trim().toUpperCase();
  if (!id) return { state: 'empty' };
  if (id.length !== 18) return { state: 'short' };
  if (!/^\d{17}[\dX]$/.test(id)) return { state: 'invalid' };
  const sum = WEIGHTS.reduce((total, weight, k) => total + weight * Number(id[k]), 0);
  const birth_date = `${id.slice(6, 10)}-${id.slice(10, 12)}-${id.slice(12, 14)}`;
  const day = new Date(`${birth_date}T00:00:00Z`);
  if (CHECK[sum % 11] !== id[17] || Number.isNaN(day.getTime()) || day.toISOString().slice(0, 10) !== birth_date) return { state: 'invalid' };
  return { state: 'ok', birth_date, sex: Number(id[16]) % 2 === 1 ? 'M' : 'F' };
}
