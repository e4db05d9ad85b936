/** What can be wrong with options, stores, settings or mounting. A refused request is never one of these. */
export type RpcGuardErrorCode =
  | 'ERR_RPC_GUARD_OPTIONS'
  | 'ERR_RPC_GUARD_NOT_CALLED'
  | 'ERR_RPC_GUARD_SETTINGS'
  | 'ERR_RPC_GUARD_STALE_WRITE'
  | 'ERR_RPC_GUARD_KEY_EXISTS'
  | 'ERR_RPC_GUARD_KEY_UNKNOWN'
  | 'ERR_RPC_GUARD_SECRET_UNKNOWN'
  | 'ERR_RPC_GUARD_STORE';

/** Broken options, store, settings or mounting. `code` is stable; the message is for people and holds no secret. */
export class RpcGuardError extends Error {
  readonly code: RpcGuardErrorCode;

  constructor(code: RpcGuardErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'RpcGuardError';
    this.code = code;
  }
}
