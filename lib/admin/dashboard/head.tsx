interface HeadProps {
  readonly titles: readonly string[];
  /** The title of a last column that only a screen reader needs to hear. */
  readonly unseen?: string;
}

/** The head of a table with explicit roles: narrow screens lay its rows out as blocks, which takes the implicit ones away. */
export function Head({ titles, unseen }: HeadProps) {
  return (
    <thead role="rowgroup">
      <tr role="row">
        {titles.map((title) => (
          <th key={title} role="columnheader" scope="col">
            {title}
          </th>
        ))}
        {unseen && (
          <th role="columnheader" scope="col">
            <span class="sr-only">{unseen}</span>
          </th>
        )}
      </tr>
    </thead>
  );
}
