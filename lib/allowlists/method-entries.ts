/** Whether a method matches one of the entries: exact names, or prefixes that end in `*`. The page holds samples against it. */
export function compileMethods(entries: readonly string[]): (method: string) => boolean {
  const names = new Set(entries.filter((entry) => !entry.endsWith('*')));
  const prefixes = entries.filter((entry) => entry.endsWith('*')).map((entry) => entry.slice(0, -1));
  return (method) => names.has(method) || prefixes.some((prefix) => method.startsWith(prefix));
}
