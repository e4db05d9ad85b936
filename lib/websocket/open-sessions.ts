import type { WebSocket } from 'ws';
import type { Session } from './session';

/** How often a key is checked while its sockets are idle: revoking it ends them too. */
const RECHECK_MS = 400;
const PING_MS = 30_000;

/** The open sessions, counted by key, with their timers. */
export class OpenSessions {
  private readonly sessions = new Set<Session>();
  /** Functions that end the handshakes under way. */
  private readonly handshakes = new Set<() => void>();
  private readonly countByKey = new Map<string, number>();
  private timers: readonly NodeJS.Timeout[] = [];
  private closing: Promise<void> | undefined;
  private onLastClosed = (): void => undefined;

  get size(): number {
    return this.sessions.size;
  }

  get isClosing(): boolean {
    return this.closing !== undefined;
  }

  countOf(apiKey: string): number {
    return this.countByKey.get(apiKey) ?? 0;
  }

  /** Counts a handshake as a socket until the returned function is called. `close()` calls `abort`. */
  reserve(apiKey: string, abort: () => void): () => void {
    this.handshakes.add(abort);
    this.countByKey.set(apiKey, this.countOf(apiKey) + 1);
    return () => {
      if (this.handshakes.delete(abort)) this.release(apiKey);
    };
  }

  /** Tracks a session until its caller's socket has closed. */
  add(apiKey: string, session: Session, client: WebSocket): void {
    this.sessions.add(session);
    this.countByKey.set(apiKey, this.countOf(apiKey) + 1);
    if (this.sessions.size === 1) this.startTimers();
    client.on('close', () => {
      this.remove(apiKey, session);
    });
  }

  /** Closes every session with 1001, and waits for that: two seconds at most. */
  close(): Promise<void> {
    this.closing ??= new Promise((resolve) => {
      this.onLastClosed = resolve;
      for (const abort of this.handshakes) abort();
      for (const session of this.sessions) session.close(1001);
      if (this.sessions.size === 0) resolve();
    });
    return this.closing;
  }

  private remove(apiKey: string, session: Session): void {
    this.sessions.delete(session);
    this.release(apiKey);
    if (this.sessions.size > 0) return;
    this.timers.forEach(clearInterval);
    this.onLastClosed();
  }

  private release(apiKey: string): void {
    const left = this.countOf(apiKey) - 1;
    if (left > 0) this.countByKey.set(apiKey, left);
    else this.countByKey.delete(apiKey);
  }

  private startTimers(): void {
    const recheck = () => {
      for (const session of this.sessions) session.recheck();
    };
    const beat = () => {
      for (const session of this.sessions) session.beat();
    };
    this.timers = [setInterval(recheck, RECHECK_MS).unref(), setInterval(beat, PING_MS).unref()];
  }
}
