import type { IncomingMessage } from 'node:http';

const actors = new WeakMap<IncomingMessage, string>();

/** Remembers who a request was authorised as, for the audit. */
export function setActor(req: IncomingMessage, actor: string): void {
  actors.set(req, actor);
}

export function actorOf(req: IncomingMessage): string | undefined {
  return actors.get(req);
}
