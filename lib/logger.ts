/** A pino-shaped logger: fields first, then the message. */
export interface Logger {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** What is used without a `logger`: errors to stderr, nothing else. */
export const stderrLogger: Logger = {
  info: () => undefined,
  warn: () => undefined,
  error(fields, message) {
    process.stderr.write(`rpc-guard: ${message} ${JSON.stringify(fields)}\n`);
  },
};

/** A logger whose failures are its own. */
export function quiet(logger: Logger): Logger {
  const attempt = (level: keyof Logger) => (fields: object, message: string) => {
    try {
      logger[level](fields, message);
    } catch {
      // There is nobody left to tell.
    }
  };
  return { info: attempt('info'), warn: attempt('warn'), error: attempt('error') };
}

/** An error in one line that may be logged: no stack, no credentials of a URL, not the `secret`. */
export function describeError(error: unknown, secret?: string): string {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : `a thrown ${typeof error}`;
  const line = text
    .replace(/\/\/[^\s/]*@/g, '//***@')
    .replace(/\s+/g, ' ')
    .slice(0, 500);
  return secret ? line.replaceAll(secret, '***') : line;
}
