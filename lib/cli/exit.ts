import { CommanderError } from 'commander';
import { RpcGuardError } from '../errors';
import type { RpcGuardErrorCode } from '../errors';
import { describeError } from '../logger';
import { printable } from './output';

/** Exit codes, for scripts. `rpc-guard --help` lists them. */
export const EXIT = { done: 0, failed: 1, usage: 2, unknown: 3, refused: 4, interrupted: 130 } as const;

export type CliErrorCode =
  | RpcGuardErrorCode
  | 'ERR_RPC_GUARD_USAGE'
  | 'ERR_RPC_GUARD_NOT_CONFIRMED'
  | 'ERR_RPC_GUARD_INTERRUPTED'
  | 'ERR_RPC_GUARD_REFUSED'
  | 'ERR_RPC_GUARD_LISTEN'
  | 'ERR_RPC_GUARD_UNEXPECTED';

/** A command that cannot go on. The message is for people and holds no secret. */
export class CliError extends Error {
  readonly code: CliErrorCode;
  readonly exitCode: number;

  constructor(code: CliErrorCode, exitCode: number, message: string) {
    super(message);
    this.name = 'CliError';
    this.code = code;
    this.exitCode = exitCode;
  }
}

export function usage(message: string): CliError {
  return new CliError('ERR_RPC_GUARD_USAGE', EXIT.usage, message);
}

export function storeFailed(message: string): RpcGuardError {
  return new RpcGuardError('ERR_RPC_GUARD_STORE', message);
}

const EXIT_CODES: Partial<Record<RpcGuardErrorCode, number>> = {
  ERR_RPC_GUARD_OPTIONS: EXIT.usage,
  ERR_RPC_GUARD_ARGUMENT: EXIT.usage,
  ERR_RPC_GUARD_SETTINGS: EXIT.usage,
  ERR_RPC_GUARD_KEY_EXISTS: EXIT.usage,
  ERR_RPC_GUARD_KEY_UNKNOWN: EXIT.unknown,
  ERR_RPC_GUARD_SECRET_UNKNOWN: EXIT.unknown,
};

/** The one line that a failed command prints, without a stack. */
export function failureOf(error: unknown): CliError {
  const { code, exitCode, message } = coded(error);
  const line = message
    .trim()
    .replace(/(?<!:)\n +/g, '; ')
    .replace(/\s+/g, ' ');
  return new CliError(code, exitCode, withoutSecrets(printable(line)));
}

function coded(error: unknown): Pick<CliError, 'code' | 'exitCode' | 'message'> {
  if (error instanceof CliError) return error;
  if (error instanceof CommanderError) return usage(error.message.replace(/^error: /, ''));
  if (error instanceof RpcGuardError) {
    const cause = (error.cause as NodeJS.ErrnoException | undefined)?.code;
    const isTold = cause === undefined || error.message.includes(cause);
    const message = isTold ? error.message : `${error.message} (${cause})`;
    return { code: error.code, exitCode: EXIT_CODES[error.code] ?? EXIT.failed, message };
  }
  return { code: 'ERR_RPC_GUARD_UNEXPECTED', exitCode: EXIT.failed, message: describeError(error) };
}

/** A secret typed in the wrong place would otherwise be echoed, and perhaps logged. */
function withoutSecrets(line: string): string {
  return line.replace(/rgs_[0-9A-Za-z]{4,}/g, 'rgs_***');
}
