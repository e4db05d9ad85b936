const SHORTEST_PART = 13;

/** A text of its own: as a part of a body, a header or a URL it would keep all of that in memory. Shorter ones are no parts. */
export function ownText(text: string): string {
  return text.length < SHORTEST_PART ? text : Buffer.from(text).toString();
}
