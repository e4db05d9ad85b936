const FORMAT = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });

/** An instant as people write it where they are; the exact one is its title. */
export function Time({ at }: { readonly at: string }) {
  return (
    <time datetime={at} title={at}>
      {FORMAT.format(new Date(at))}
    </time>
  );
}

/** What `<input type="datetime-local">` takes and gives: local time without a zone. */
export function toLocalInput(date: Date): string {
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

export function fromLocalInput(value: string): string {
  return new Date(value).toISOString();
}
