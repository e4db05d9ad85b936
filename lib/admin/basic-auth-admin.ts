import { createHmac, randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { LRUCache } from 'lru-cache';
import { RpcGuardError } from '../errors';
import { checkOptions, isPlainObject } from '../option-rules';
import type { OptionRules } from '../option-rules';
import { parseCredentials } from '../policy/authenticators/basic-secret';
import { setActor, setFailedLogin, setRole } from './actor';
import type { Role } from './actor';
import { LoginAttempts, MAX_DELAY_MS } from './login-attempts';

export interface BasicAuthAdminOptions {
  /** Name → what `hashPassword(password)` or `rpc-guard admin hash-password` returned. */
  readonly users: Readonly<Record<string, string | AdminUser>>;
}

export interface AdminUser {
  /** What `hashPassword(password)` returned. */
  readonly hash: string;
  /** A `viewer` reads, an `editor` also changes and sends. Default `editor`. */
  readonly role?: Role | undefined;
}

interface User extends PasswordHash {
  readonly role: Role;
}

interface PasswordHash {
  readonly log2N: number;
  readonly r: number;
  readonly p: number;
  readonly salt: Buffer;
  readonly derived: Buffer;
}

type Middleware = (req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => void) => void;

/** About 50 ms and 32 MiB a password. */
const COST = { log2N: 15, r: 8, p: 1 };
const DERIVED_BYTES = 32;
const HASH =
  /^\$scrypt\$ln=(1[0-9]|20),r=([1-9]|[12][0-9]|3[0-2]),p=([1-9])\$([A-Za-z0-9+/]{22,86})\$([A-Za-z0-9+/]{43})$/;
const NAME = /^[^\x00-\x1f\x7f:]{1,64}$/;

/** How long a verified password is remembered after its last use, to save deriving it again. */
const REMEMBER_MS = 10 * 60 * 1000;
const MAX_REMEMBERED = 100;

/**
 * What `users` holds in place of a password: scrypt with a salt of its own, as `$scrypt$ln=15,r=8,p=1$salt$hash`.
 * @throws RpcGuardError `ERR_RPC_GUARD_ARGUMENT` when the password has less than 12 characters.
 */
export async function hashPassword(password: string): Promise<string> {
  if (typeof password !== 'string' || password.length < 12) {
    throw new RpcGuardError('ERR_RPC_GUARD_ARGUMENT', 'a password must have 12 characters or more');
  }
  const salt = randomBytes(16);
  const derived = await derive(password, { ...COST, salt });
  const { log2N, r, p } = COST;
  return `$scrypt$ln=${String(log2N)},r=${String(r)},p=${String(p)}$${unpadded(salt)}$${unpadded(derived)}`;
}

/**
 * An `authorize` for `rpcGuardAdmin`, for those who have no login of their own: HTTP Basic credentials, held against
 * scrypt hashes. Each wrong password makes its address wait longer for the next try, up to 8 s; tries of one address go
 * one at a time, and do not keep another address out. Serve it over TLS.
 * @throws RpcGuardError `ERR_RPC_GUARD_OPTIONS` when there are no users or a hash is none. Neither is quoted.
 */
export function basicAuthAdmin(options: BasicAuthAdminOptions): Middleware {
  const users = parseUsers(options);
  const nobody: PasswordHash = { ...COST, salt: randomBytes(16), derived: randomBytes(DERIVED_BYTES) };
  const rememberKey = randomBytes(32);
  const remembered = new LRUCache<string, true>({ max: MAX_REMEMBERED, ttl: REMEMBER_MS, updateAgeOnGet: true });
  const attempts = new LoginAttempts();

  function basicAuthAdminMiddleware(req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => void): void {
    const credentials = parseCredentials(req.headers.authorization ?? '');
    if (credentials === undefined) {
      challenge(res);
      return;
    }
    const { name, pass } = credentials;
    const digest = createHmac('sha256', rememberKey).update(`${name}:${pass}`).digest('base64');
    const isKnown = () => remembered.get(digest) === true;
    if (isKnown()) {
      admit();
      return;
    }
    attempts
      .inTurn(addressOf(req), async () => isKnown() || (res.destroyed ? undefined : await isRight(name, pass)))
      .then((outcome) => {
        if (outcome === 'busy') tooMany(res);
        else if (!outcome) {
          setFailedLogin(req, users.has(name) ? name : '(unknown)');
          challenge(res);
        } else {
          remembered.set(digest, true);
          admit();
        }
      })
      .catch(next);

    function admit(): void {
      setActor(req, name);
      setRole(req, users.get(name)?.role ?? 'viewer');
      next();
    }
  }

  async function isRight(name: string, pass: string): Promise<boolean> {
    const user = users.get(name);
    const stored = user ?? nobody;
    return timingSafeEqual(await derive(pass, stored), stored.derived) && user !== undefined;
  }

  return basicAuthAdminMiddleware;
}

const RULES: OptionRules<BasicAuthAdminOptions> = {
  users: {
    accepts: (value) =>
      isPlainObject(value) &&
      Object.keys(value).length > 0 &&
      Object.entries(value).every(([name, user]) => NAME.test(name) && parseUser(user) !== undefined),
    takes:
      '{ name: hash } or { name: { hash, role: "viewer" } } with one user or more, no colon in a name, and hashes as ' +
      '`rpc-guard admin hash-password` prints them, in single quotes where a shell reads them, such as ' +
      "'$scrypt$ln=15,r=8,p=1$…$…'",
    isRequired: true,
    quote: quoteUsers,
  },
};

/** A hash, or a password in its place, is not shown. A variable that is not set is the common slip. */
function quoteUsers(users: unknown): string {
  return isPlainObject(users) && Object.values(users).includes('') ? 'an empty hash' : 'something else';
}

function parseUsers(options: BasicAuthAdminOptions): ReadonlyMap<string, User> {
  const { users } = checkOptions('basicAuthAdmin(options)', RULES, options);
  return new Map(Object.entries(users).map(([name, user]) => [name, parseUser(user)!]));
}

function parseUser(user: unknown): User | undefined {
  if (!isPlainObject(user)) {
    const hash = parseHash(user);
    return hash && { ...hash, role: 'editor' };
  }
  const { hash: text, role = 'editor', ...others } = user;
  const hash = parseHash(text);
  const isRight = (role === 'viewer' || role === 'editor') && Object.keys(others).length === 0;
  return isRight ? hash && { ...hash, role } : undefined;
}

function parseHash(hash: unknown): PasswordHash | undefined {
  const [, log2N, r, p, salt, derived] = HASH.exec(typeof hash === 'string' ? hash : '') ?? [];
  if (salt === undefined || derived === undefined) return undefined;
  return {
    log2N: Number(log2N),
    r: Number(r),
    p: Number(p),
    salt: Buffer.from(salt, 'base64'),
    derived: Buffer.from(derived, 'base64'),
  };
}

function derive(password: string, { log2N, r, p, salt }: Omit<PasswordHash, 'derived'>): Promise<Buffer> {
  const N = 2 ** log2N;
  return new Promise((resolve, reject) => {
    scrypt(password.normalize('NFC'), salt, DERIVED_BYTES, { N, r, p, maxmem: 256 * N * r }, (error, derived) => {
      if (error === null) resolve(derived);
      else reject(error);
    });
  });
}

function unpadded(bytes: Buffer): string {
  return bytes.toString('base64').replaceAll('=', '');
}

/** That of the proxy's client where Express is told to trust the proxy; a whole /64 of IPv6, which one caller may own. */
function addressOf(req: IncomingMessage & { readonly ip?: string | undefined }): string {
  const address = req.ip ?? req.socket.remoteAddress ?? '';
  return address.includes('.') ? address : address.split(':').slice(0, 4).join(':');
}

function challenge(res: ServerResponse): void {
  res.setHeader('WWW-Authenticate', 'Basic realm="rpc-guard admin", charset="UTF-8"');
  answer(res, 401, 'UNAUTHORIZED', 'log in with a name and password');
}

function tooMany(res: ServerResponse): void {
  res.setHeader('Retry-After', String(MAX_DELAY_MS / 1000));
  answer(res, 429, 'TOO_MANY_ATTEMPTS', 'too many attempts to log in are waiting; try again later');
}

function answer(res: ServerResponse, status: number, code: string, message: string): void {
  if (res.destroyed) return;
  res.writeHead(status, { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' });
  res.end(JSON.stringify({ error: { code, message } }));
}
