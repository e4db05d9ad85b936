import type { Difference } from './fields';

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
      <thead role="rowgroup">
        <tr role="row">
          {['Setting', ...columns].map((title) => (
            <th key={title} role="columnheader" scope="col">
              {title}
            </th>
          ))}
        </tr>
      </thead>
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
