import type { KeyView } from '../settings/key-view';
import { RpcGuardError } from '../errors';
import type { RpcGuardErrorCode } from '../errors';

/** A failed API request: its HTTP status, a stable code, and words for people. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    /** The key as it is now, where another change came between. */
    readonly current?: KeyView,
  ) {
    super(message);
  }
}

const BY_CODE: Partial<Record<RpcGuardErrorCode, readonly [status: number, code: string]>> = {
  ERR_RPC_GUARD_ARGUMENT: [400, 'INVALID'],
  ERR_RPC_GUARD_SETTINGS: [400, 'INVALID'],
  ERR_RPC_GUARD_KEY_UNKNOWN: [404, 'KEY_UNKNOWN'],
  ERR_RPC_GUARD_SECRET_UNKNOWN: [404, 'SECRET_UNKNOWN'],
  ERR_RPC_GUARD_KEY_EXISTS: [409, 'KEY_EXISTS'],
  ERR_RPC_GUARD_STALE_WRITE: [409, 'STALE_VERSION'],
};

/** Words an error for the caller. Errors that the caller cannot mend are told without their reason, which is logged. */
export function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof RpcGuardError) {
    const [status, code] = BY_CODE[error.code] ?? [503, 'STORE_UNAVAILABLE'];
    return new ApiError(status, code, status === 503 ? 'the settings store is down; try again' : error.message);
  }
  const { status, type } = error as { status?: unknown; type?: unknown };
  if (status === 413) return new ApiError(413, 'BODY_TOO_LARGE', 'the body is too large');
  if (type === 'entity.parse.failed') return new ApiError(400, 'BAD_REQUEST', 'the body is not JSON');
  if (typeof status === 'number' && status >= 400 && status < 500) {
    return new ApiError(status, 'BAD_REQUEST', 'the request cannot be read');
  }
  return new ApiError(500, 'INTERNAL', 'internal error; see the log');
}

export function invalidRequest(message: string): ApiError {
  return new ApiError(400, 'BAD_REQUEST', message);
}
