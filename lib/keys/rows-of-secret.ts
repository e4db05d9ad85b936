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
    const [kind = '', name = '', ...id] = row.name.split(' ');
    return id.join(' ') === secretId ? [{ ...row, kind, name }] : [];
  });
}
