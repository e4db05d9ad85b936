import type { IncomingMessage } from 'node:http';

const actors = new WeakMap<IncomingMessage, string>();

/** Remembers the user of a request, for the audit. */
export function setActor(req: IncomingMessage, actor: string): void {
  actors.set(req, actor);
}

export function actorOf(req: IncomingMessage): string | undefined {
  return actors.get(req);
}
