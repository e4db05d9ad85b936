import type { IncomingMessage } from 'node:http';

/** What a caller of the management may do: `viewer` reads, `editor` also changes and sends. */
export type Role = 'viewer' | 'editor';

const actors = new WeakMap<IncomingMessage, string>();
const roles = new WeakMap<IncomingMessage, Role>();
const failedLogins = new WeakMap<IncomingMessage, string>();

/** Remembers the user of a request, for the audit. */
export function setActor(req: IncomingMessage, actor: string): void {
  actors.set(req, actor);
}

export function actorOf(req: IncomingMessage): string | undefined {
  return actors.get(req);
}

export function setRole(req: IncomingMessage, role: Role): void {
  roles.set(req, role);
}

export function roleOf(req: IncomingMessage): Role | undefined {
  return roles.get(req);
}

/** Remembers that a login failed, under the name of a user that there is, or `(unknown)`. */
export function setFailedLogin(req: IncomingMessage, name: string): void {
  failedLogins.set(req, name);
}

export function failedLoginOf(req: IncomingMessage): string | undefined {
  return failedLogins.get(req);
}
