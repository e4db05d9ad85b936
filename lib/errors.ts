/** What can be wrong, by its cause. A refused request is never one of these. */
export type RpcGuardErrorCode =
  /** What a constructor or a factory was given. */
  | 'ERR_RPC_GUARD_OPTIONS'
  /** What a method or a function was given. */
  | 'ERR_RPC_GUARD_ARGUMENT'
  /** `rpcGuard` was mounted without the call. */
  | 'ERR_RPC_GUARD_NOT_CALLED'
  /** Settings of a key that do not parse. */
  | 'ERR_RPC_GUARD_SETTINGS'
  /** The key was changed by another write since it was read. */
  | 'ERR_RPC_GUARD_STALE_WRITE'
  | 'ERR_RPC_GUARD_KEY_EXISTS'
  | 'ERR_RPC_GUARD_KEY_UNKNOWN'
  | 'ERR_RPC_GUARD_SECRET_UNKNOWN'
  /** The store fails, or its data cannot be read. */
  | 'ERR_RPC_GUARD_STORE';

/** Broken options, arguments, settings, store or mounting. `code` is stable; the message is for people and holds no secret. */
export class RpcGuardError extends Error {
  readonly code: RpcGuardErrorCode;

  constructor(code: RpcGuardErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'RpcGuardError';
    this.code = code;
  }
}
