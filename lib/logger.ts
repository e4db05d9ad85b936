/** A pino-shaped logger: fields first, then the message. */
export interface Logger {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** What is used without a `logger`: errors to stderr, and what is noticed once. */
export const stderrLogger: Logger = { info: () => undefined, warn: () => undefined, error: writeToStderr };

/** A logger as the parts of the guard use it. */
export interface GuardLogger extends Logger {
  /** What whoever sets the guard up should see: `info` of a logger that was given, on stderr without one. */
  notice(fields: object, message: string): void;
}

/** A logger whose failures are its own. */
export function quiet(logger: Logger): GuardLogger {
  const attempt = (level: keyof Logger) => (fields: object, message: string) => {
    try {
      logger[level](fields, message);
    } catch {
      // There is nobody left to tell.
    }
  };
  const info = attempt('info');
  const notice = logger === stderrLogger ? attempt('error') : info;
  return { info, warn: attempt('warn'), error: attempt('error'), notice };
}

function writeToStderr(fields: object, message: string): void {
  process.stderr.write(`rpc-guard: ${message} ${JSON.stringify(fields)}\n`);
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
