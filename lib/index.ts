export { basicAuthAdmin, hashPassword } from './admin/basic-auth-admin';
export type { BasicAuthAdminOptions } from './admin/basic-auth-admin';
export { rpcGuardAdmin } from './admin/rpc-guard-admin';
export type { RpcGuardAdmin, RpcGuardAdminOptions } from './admin/rpc-guard-admin';
export { RpcGuardError } from './errors';
export type { RpcGuardErrorCode } from './errors';
export type { AllowlistType, Allowlists, KeySettings, KeySettingsInput, SecretRecord } from './key-settings';
export { KeyManager } from './keys/key-manager';
export type {
  AuditAction,
  AuditEvent,
  ChangeOptions,
  KeyChanges,
  KeyManagerOptions,
  KeyPage,
  KeyView,
  ListOptions,
  MadeSecret,
  NewKey,
  NewSecret,
  RotateOptions,
  SecretView,
} from './keys/key-manager';
export type { Logger } from './logger';
export { DEFAULT_BLOCKED_METHODS } from './options';
export type { CreateProxyMiddleware, Decision, RpcGuardOptions } from './options';
export type { AddressParams } from './allowlists/address-params';
export type { Reason } from './refusals';
export { rpcGuard } from './rpc-guard';
export type { RpcGuard } from './rpc-guard';
export { generateApiKey, generateSecret, hashSecret } from './secret';
export { FileStore } from './stores/file-store';
export type { FileStoreOptions } from './stores/file-store';
export { MemoryStore } from './stores/memory-store';
export type { SettingsStore, WritableSettingsStore } from './stores/settings-store';
export type { UpstreamOption } from './upstream';
