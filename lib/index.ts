export { RpcGuardError } from './errors';
export type { RpcGuardErrorCode } from './errors';
export type { AllowlistType, Allowlists, KeySettings, KeySettingsInput, SecretRecord } from './settings/key-settings';
export type { AuditAction, AuditEvent, AuditQuery, AuditStore, AuditVia } from './stores/audit-store';
export type { SettingsChange } from './settings/settings-changes';
export type {
  AuditOptions,
  ChangeOptions,
  KeyChanges,
  ListOptions,
  NewKey,
  NewSecret,
  RotateOptions,
  SecretChanges,
} from './keys/changes';
export { KeyManager } from './keys/key-manager';
export type { KeyManagerOptions, KeyPage, MadeKey, MadeSecret } from './keys/key-manager';
export type { LimitsInUse } from './keys/limits-in-use';
export type { RefusalGroup, RefusalsOptions } from './keys/refusal-report';
export type { UsageBy, UsageName, UsageOptions, UsagePoint, UsageReport } from './keys/usage-report';
export type { Proposal, ProposedEntry, ProposedList } from './keys/proposal';
export type { AcceptedProposal, ProposeOptions } from './keys/propose-options';
export type { KeyView, SecretView } from './settings/key-view';
export type { Credits } from './limits/credits';
export type { Logger } from './logger';
export { DEFAULT_BLOCKED_METHODS } from './allowlists/default-blocked-methods';
export type { CorsOptions } from './options/cors-options';
export type { Decision, RpcGuardOptions } from './options/options';
export type { Health } from './observe/health';
export type { RequestEvent } from './options/request-event';
export type { CreateProxyMiddleware } from './upstream/proxy-middleware';
export type { AddressParams } from './allowlists/address-table';
export type { Reason } from './policy/refusals';
export type { TrustProxy } from './request/client-address';
export type { KeyLimits, Limits } from './settings/limits';
export { rpcGuard } from './rpc-guard';
export type { CloseOptions, RpcGuard } from './rpc-guard';
export { generateApiKey } from './settings/api-key';
export { generateSecret, hashSecret } from './settings/secret';
export { FileStore } from './stores/file';
export type { FileStoreOptions } from './stores/file';
export type { LimitStore, SpentRow } from './stores/limit-store';
export type { UsageKind, UsageQuery, UsageRow, UsageStore } from './stores/usage-store';
export { MemoryStore } from './stores/memory';
export { checkKeyQuery, cursorOf } from './stores/key-query';
export type { KeyQuery, SettingsStore, WritableSettingsStore } from './stores/settings-store';
export type { UpstreamOption } from './upstream/upstream-url';
