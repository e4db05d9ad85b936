import { RpcGuardError } from '../errors';
import { BOOLEAN_RULE, checkOptions, isPlainObject, isText, isWhole } from '../option-rules';
import type { OptionRule, OptionRules } from '../option-rules';
import { GUARD_RULES } from '../options/options';
import type { RpcGuardOptions } from '../options/options';
import type { BasicAuthAdminOptions } from '../admin/basic-auth-admin';
import { usage } from './exit';
import { DEFAULT_FILE } from './open-store';
import { readDataFile } from './settings-file';

/** Functions and objects of code, which no file can hold, and the store, which is named. */
const NOT_WRITTEN = ['store', 'logger', 'onDecision', 'onRequest', 'createProxyMiddleware'] as const;
type WrittenOptions = Omit<RpcGuardOptions, (typeof NOT_WRITTEN)[number]>;

/** Of the server around the guard. */
export interface ServerOptions {
  /** As `--store` takes it. Default `file:./rpc-guard.json`. */
  readonly store: string;
  /** The address to listen on. Default `127.0.0.1`. */
  readonly host: string;
  /** Default 3000; 0 for any free one. */
  readonly port: number;
  /** Serves the metrics on a port of their own: they are not for callers. Default: nowhere. */
  readonly metricsPort?: number | undefined;
  /** The address that the metrics listen on. Default `127.0.0.1`, wherever callers are let in. */
  readonly metricsHost: string;
  /** Whether the dashboard is served, at `/admin/`. Default `true`. */
  readonly dashboard: boolean;
  /** As `basicAuthAdmin` takes them. Without users a password is made for this start. */
  readonly users?: BasicAuthAdminOptions['users'] | undefined;
  /** As `rpcGuardAdmin` takes it. */
  readonly publicUrl?: string | undefined;
}

/** What `rpc-guard serve` is told. */
export interface ServeOptions {
  readonly server: ServerOptions;
  readonly guard: WrittenOptions;
}

type Given = Partial<ServerOptions & WrittenOptions>;

const EXAMPLE = '{ "upstream": "http://127.0.0.1:8545", "port": 3000 }';
const PORT: OptionRule = { accepts: isWhole(0, 65_535), takes: 'a port, such as 3000' };

/** Node takes an empty one for all of the machine's. */
const isAddress = (value: unknown) => isText(value) && value !== '';

const SERVER_RULES: OptionRules<ServerOptions> = {
  store: { accepts: isText, takes: 'a store, such as "file:./rpc-guard.json"', default: `file:${DEFAULT_FILE}` },
  host: {
    accepts: isAddress,
    takes: 'an address to listen on, such as "127.0.0.1" or "0.0.0.0"',
    default: '127.0.0.1',
  },
  port: { ...PORT, default: 3000 },
  metricsPort: { ...PORT, takes: 'a port of its own, such as 9464' },
  metricsHost: {
    accepts: isAddress,
    takes: 'an address that only Prometheus reaches, such as "127.0.0.1"',
    default: '127.0.0.1',
  },
  dashboard: { ...BOOLEAN_RULE, default: true },
  users: {
    accepts: isPlainObject,
    takes: 'hashes by name, as basicAuthAdmin takes them',
    quote: () => 'something else',
  },
  publicUrl: { accepts: isText, takes: 'where callers reach the guard, such as "https://rpc.example.com"' },
};

const WRITTEN_RULES = Object.fromEntries(
  Object.entries(GUARD_RULES).filter(([name]) => !(NOT_WRITTEN as readonly string[]).includes(name)),
) as OptionRules<WrittenOptions>;

/** What flags and the environment say, over what the file says. */
export function serveOptions(given: Given, path: string | undefined): ServeOptions {
  const written = path === undefined ? {} : readDataFile(path, EXAMPLE);
  if (!isPlainObject(written)) throw usage(`${path ?? ''}: is not an object; write ${EXAMPLE}`);
  const present = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const checked = check({ ...written, ...present });
  const entries = Object.entries(checked);
  const isOfServer = ([name]: [string, unknown]) => Object.hasOwn(SERVER_RULES, name);
  return {
    server: Object.fromEntries(entries.filter(isOfServer)) as unknown as ServerOptions,
    guard: Object.fromEntries(entries.filter((entry) => !isOfServer(entry))) as unknown as WrittenOptions,
  };
}

/** The one option that is needed has three places to stand in. */
function check(given: object): object {
  try {
    return checkOptions<Given>('rpc-guard serve', { ...WRITTEN_RULES, ...SERVER_RULES }, given);
  } catch (error) {
    const { code, message } = error as RpcGuardError;
    const hint = 'upstream: is required (--upstream, RPC_GUARD_UPSTREAM, or upstream in the file of --config)';
    throw new RpcGuardError(code, message.replace('upstream: is required', hint));
  }
}
