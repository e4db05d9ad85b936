import { parseCalls } from '../../lib/json-rpc/call';
import type { RpcCall } from '../../lib/json-rpc/call';
import type { Logger } from '../../lib/logger';
import { admissionOf, checkCall } from '../../lib/policy/authorize';
import { addressTable } from '../../lib/allowlists/address-table';
import type { AddressTable } from '../../lib/allowlists/address-table';
import type { RequestFacts } from '../../lib/request/request-facts';
import { compileKeySettings } from '../../lib/settings/compile';
import { parseKeySettings } from '../../lib/settings/key-settings';
import type { Allowlists } from '../../lib/settings/key-settings';

export const KEY = '0123456789abcdef0123456789abcdef';
export const OTHER_KEY = 'fedcba9876543210fedcba9876543210';
export const CONTRACT = '0xfe05a3e72235c9f92fd9f2282f41a8154d6d342b';
export const OTHER_CONTRACT = '0x00000000000000000000000000000000000abcde';

/** Facts of a request with `KEY` and no header. */
export function factsOf(given: Partial<RequestFacts> = {}): RequestFacts {
  return {
    apiKey: KEY,
    authorization: undefined,
    origin: undefined,
    userAgent: undefined,
    headers: {},
    duplicateHeader: undefined,
    remoteAddress: undefined,
    requestId: 'test',
    ...given,
  };
}

/** A call as the guard reads it from a body; `params` may be JSON text, for what JavaScript cannot say. */
export function rpcCall(method: string, params: readonly unknown[] | string = []): RpcCall {
  const json = typeof params === 'string' ? params : JSON.stringify(params);
  const body = `{"jsonrpc":"2.0","id":1,"method":${JSON.stringify(method)},"params":${json}}`;
  const read = parseCalls(Buffer.from(body), 1);
  const call = read.ok ? read.calls[0] : undefined;
  if (call === undefined || 'invalid' in call) throw new Error(`no call: ${method} ${json}`);
  return call;
}

/** Why the guard refuses a call to a key with these lists, where nothing is blocked; `undefined` lets it pass. */
export function refusalUnder(
  allowlists: Partial<Allowlists>,
  call: RpcCall,
  table: AddressTable = addressTable({}),
): string | undefined {
  const key = compileKeySettings(parseKeySettings({ apiKey: KEY, allowlists }));
  const rules = { addressTable: table, isBlocked: () => false, blockedMethods: [] };
  return checkCall(admissionOf(key, undefined), call, rules)?.refused;
}

/** The header that `curl --user user:secret` sends. */
export function basicHeader(secret: string, user = ''): string {
  return `Basic ${Buffer.from(`${user}:${secret}`).toString('base64')}`;
}

export interface LoggedLine {
  readonly level: 'info' | 'warn' | 'error';
  readonly text: string;
}

/** A logger that keeps what it is told. */
export function recordingLogger(): Logger & { readonly lines: LoggedLine[] } {
  const lines: LoggedLine[] = [];
  const at = (level: LoggedLine['level']) => (fields: object, message: string) => {
    lines.push({ level, text: `${message} ${JSON.stringify(fields)}` });
  };
  return { lines, info: at('info'), warn: at('warn'), error: at('error') };
}

export interface ThrownError extends Error {
  readonly code?: unknown;
}

export function thrownBy(work: () => unknown): ThrownError {
  try {
    work();
  } catch (error) {
    if (error instanceof Error) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}
