export type { RpcGuardAdminOptions } from './admin-options';
export { basicAuthAdmin, hashPassword } from './basic-auth-admin';
export type { BasicAuthAdminOptions } from './basic-auth-admin';
export { rpcGuardAdmin } from './rpc-guard-admin';
export type { RpcGuardAdmin } from './rpc-guard-admin';
