/** Headers that hops read differently when they come twice. */
const UNIQUE_HEADERS: ReadonlySet<string> = new Set([
  'host',
  'authorization',
  'origin',
  'user-agent',
  'content-type',
  'content-encoding',
]);

/** The first header that must be unique and came twice. `rawHeaders` alternates names and values. */
export function duplicateHeader(rawHeaders: readonly string[]): string | undefined {
  const seen = new Set<string>();
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!.toLowerCase();
    if (seen.has(name)) return name;
    if (UNIQUE_HEADERS.has(name)) seen.add(name);
  }
  return undefined;
}
