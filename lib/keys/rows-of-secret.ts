import { OTHER } from '../stores/usage-store';
import type { CountedRow } from './proposal';

const NAMED = ['method', 'origin', 'userAgent', 'address'];

/** What was counted of one secret that has lists of its own, as if it were all that the key did. */
export function rowsOfSecret(rows: readonly CountedRow[], secretId: string): readonly CountedRow[] {
  return rows.flatMap((row) => {
    if (row.kind === 'secret') return row.name === secretId ? [{ ...row, kind: 'total', name: '' }] : [];
    if (row.kind !== 'ofSecret') return [];
    // Whose the rare names were that made room is not known: they may all be of this secret.
    if (row.name === OTHER) return NAMED.map((kind) => ({ ...row, kind }));
    const { kind, name, id } = partsOf(row);
    return id === secretId ? [{ ...row, kind, name }] : [];
  });
}

/** What was counted of the key, without what secrets did that have lists of their own: the key's do not hold for them. */
export function rowsOfKey(rows: readonly CountedRow[]): readonly CountedRow[] {
  const ofSecrets = rows.filter(({ kind, name }) => kind === 'ofSecret' && name !== OTHER);
  const secrets = new Set(ofSecrets.map((row) => partsOf(row).id));
  const left = new Map<string, number>();
  const take = (place: string, calls: number) => left.set(place, (left.get(place) ?? 0) + calls);
  for (const row of ofSecrets) take(placeOf({ ...row, ...partsOf(row) }), row.calls);
  const isOfSecret = ({ kind, name }: CountedRow) => kind === 'secret' && secrets.has(name);
  for (const row of rows.filter(isOfSecret)) take(placeOf({ ...row, kind: 'total', name: '' }), row.calls);
  return rows.flatMap((row) => {
    if (row.kind === 'ofSecret' || isOfSecret(row)) return [];
    const taken = Math.min(row.calls, left.get(placeOf(row)) ?? 0);
    take(placeOf(row), -taken);
    return taken === row.calls ? [] : [{ ...row, calls: row.calls - taken }];
  });
}

/** Rows of several processes have the same. */
function placeOf({ kind, name, outcome, hour }: CountedRow): string {
  return `${kind} ${name} ${outcome} ${hour}`;
}

function partsOf({ name: whole }: CountedRow): { readonly kind: string; readonly name: string; readonly id: string } {
  const [kind = '', name = '', ...id] = whole.split(' ');
  return { kind, name, id: id.join(' ') };
}
