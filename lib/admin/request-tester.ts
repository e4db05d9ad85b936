import { dryRun } from '../explain/dry-run';
import type { DryRun } from '../explain/dry-run';
import { RpcGuardError } from '../errors';
import { readAnswer } from '../upstream/read-answer';
import type { UpstreamClient } from '../upstream/http-client';
import { isPlainObject } from '../option-rules';
import { isRefusal, messageOf, statusOf } from '../policy/refusals';
import { stored } from '../stores/versioned-write';
import type { ParsedAdminOptions } from './admin-options';
import { allowlistMeta } from './allowlist-meta';
import { invalidRequest } from './api-error';

/** A call (`method`, `params`) or the text of a body, as it would be sent with these headers and this secret. */
export interface TestRequest {
  readonly method?: unknown;
  readonly params?: unknown;
  readonly id?: unknown;
  readonly body?: unknown;
  /** Those that lists read, by name. */
  readonly headers?: unknown;
  readonly secret?: unknown;
  /** Whether what is allowed is sent to the upstream. */
  readonly send?: unknown;
}

export interface TestResult extends DryRun {
  /** What the upstream answered, or why it did not. */
  readonly answer?: { readonly status: number; readonly body: string };
}

export interface RequestTester {
  readonly canSend: boolean;
  test(apiKey: string, request: TestRequest): Promise<TestResult>;
}

export const TEST_MEMBERS: readonly (keyof TestRequest)[] = [
  'method',
  'params',
  'id',
  'body',
  'headers',
  'secret',
  'send',
];
/** What lists read of a request. */
const HEADERS = allowlistMeta().flatMap(({ header }) => header ?? []);
const MAX_ANSWER_BYTES = 1024 * 1024;

/** Holds a request against a key as the guard would, and sends what is allowed where there is an upstream to send it to. */
export function createRequestTester(options: ParsedAdminOptions, handOff: UpstreamClient | undefined): RequestTester {
  const { store, toUpstream } = options;

  async function send(body: string): Promise<NonNullable<TestResult['answer']>> {
    if (handOff === undefined || toUpstream === undefined)
      throw invalidRequest('send: there is no upstream; give rpcGuardAdmin one');
    const exchange = handOff.send([body], { 'accept-encoding': 'identity' }, 'request-tester');
    const answer = await exchange.answer;
    if (isRefusal(answer)) return { status: statusOf(answer), body: messageOf(answer) };
    const bytes = await readAnswer(answer, toUpstream, MAX_ANSWER_BYTES);
    if (isRefusal(bytes)) return { status: 502, body: bytes.why ?? '' };
    return { status: answer.status, body: bytes.toString() };
  }

  return {
    canSend: handOff !== undefined,
    async test(apiKey, request) {
      const settings = await stored(() => store.get(apiKey));
      if (settings === undefined) throw new RpcGuardError('ERR_RPC_GUARD_KEY_UNKNOWN', 'there is no such key');
      const verdict = await dryRun(
        { apiKey, headers: headersOf(request), body: bodyOf(request) },
        settings,
        options,
        store.limits,
      );
      if (request.send !== true || verdict.forwarded === null) return verdict;
      return { ...verdict, answer: await send(verdict.forwarded) };
    },
  };
}

function headersOf({ headers = {}, secret }: TestRequest): readonly (readonly [string, string])[] {
  if (!isPlainObject(headers))
    throw invalidRequest('headers: it takes an object, such as { "Origin": "https://app.example.com" }');
  const sent = Object.entries(headers).map(([name, value]) => {
    if (!HEADERS.includes(name)) throw invalidRequest(`headers: you can set ${HEADERS.join(', ')}`);
    return [name, textOf(`headers.${name}`, value)] as const;
  });
  const credentials = textOf('secret', secret);
  const authorization = ['Authorization', `Basic ${Buffer.from(`:${credentials}`).toString('base64')}`] as const;
  return [...sent.filter(([, value]) => value !== ''), ...(credentials === '' ? [] : [authorization])];
}

function textOf(member: string, value: unknown): string {
  if (value === undefined || value === null) return '';
  if (typeof value !== 'string') throw invalidRequest(`${member}: it takes a string`);
  return value;
}

function bodyOf({ body, method, params, id = 1 }: TestRequest): string {
  if (typeof body === 'string') return body;
  if (typeof method !== 'string') throw invalidRequest('send method and params, or body as a string');
  return JSON.stringify({ jsonrpc: '2.0', id, method, params });
}
