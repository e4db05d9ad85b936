import type { Difference } from './fields';
import { Head } from './head';

interface DifferencesProps {
  readonly parts: readonly Difference[];
  /** Of what was, what is, and what is wanted here, if that is to be shown. */
  readonly columns: readonly [before: string, theirs: string, yours?: string];
}

/** The parts in which a key differs, side by side. */
export function Differences({ parts, columns }: DifferencesProps) {
  const [beforeTitle, theirsTitle, yoursTitle] = columns;
  return (
    <table class="conflict" role="table">
      <Head titles={['Setting', ...columns.filter((title) => title !== undefined)]} />
      <tbody role="rowgroup">
        {parts.map(({ name, label, before, theirs, isTheirs, yours }) => (
          <tr role="row" key={name}>
            <th role="rowheader" scope="row">
              {label}
            </th>
            <td role="cell" data-label={beforeTitle}>
              {before}
            </td>
            <td role="cell" data-label={theirsTitle}>
              {isTheirs ? <strong>{theirs}</strong> : theirs}
            </td>
            {yoursTitle && (
              <td role="cell" data-label={yoursTitle}>
                {yours === undefined ? <span class="quiet-text">not changed</span> : <strong>{yours}</strong>}
              </td>
            )}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
