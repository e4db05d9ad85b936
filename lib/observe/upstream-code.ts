/** A longer answer is not looked into. */
const MAX_BYTES = 4096;

/** Whether an upstream's answer of so many bytes is kept for `upstreamCodeIn`. */
export function isShort(bytes: number): boolean {
  return bytes <= MAX_BYTES;
}

/** The JSON-RPC error code that an upstream's answer holds, that of a batch's first error; `undefined` if there is none. */
export function upstreamCodeIn(answer: Buffer): number | undefined {
  if (!isShort(answer.length) || !answer.includes('"error"')) return undefined;
  let json: unknown;
  try {
    json = JSON.parse(answer.toString());
  } catch {
    return undefined;
  }
  return (Array.isArray(json) ? json : [json]).map(codeOf).find((code) => code !== undefined);
}

function codeOf(reply: unknown): number | undefined {
  const { error } = (reply ?? {}) as { readonly error?: unknown };
  const { code } = (error ?? {}) as { readonly code?: unknown };
  return Number.isSafeInteger(code) ? (code as number) : undefined;
}
