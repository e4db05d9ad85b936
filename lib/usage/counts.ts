import { CLASSES_MS } from '../stores/usage-store';
import type { UsageRow } from '../stores/usage-store';

/** What has been counted of one name and outcome. */
export class Counts {
  calls = 0;
  credits = 0;
  bytesIn = 0;
  bytesOut = 0;
  upstreamErrors = 0;
  requests = 0;
  lastAt = 0;
  milliseconds: number[] | undefined = undefined;
  /** Of `calls`, what the store has been told; it is told all or nothing. */
  told = 0;
  /** What may have been counted of it before it took another's place: its rank, and never shown. */
  guess = 0;

  constructor(
    readonly name: string,
    readonly outcome: string,
  ) {}

  add(calls: number, credits: number, at: number): void {
    this.calls += calls;
    this.credits += credits;
    this.lastAt = at;
  }

  /** What is of a request as a whole. */
  addBytes(bytesIn: number, bytesOut: number, upstreamErrors: number): void {
    this.bytesIn += bytesIn;
    this.bytesOut += bytesOut;
    this.upstreamErrors += upstreamErrors;
  }

  /** Of one request, whose class `classOf` told. */
  addTime(place: number): void {
    this.milliseconds ??= new Array<number>(CLASSES_MS.length + 1).fill(0);
    this.milliseconds[place]!++;
  }

  /** Takes over what was counted of a name that makes room. */
  absorb(other: Counts): void {
    this.calls += other.calls;
    this.credits += other.credits;
    this.bytesIn += other.bytesIn;
    this.bytesOut += other.bytesOut;
    this.upstreamErrors += other.upstreamErrors;
    this.lastAt = Math.max(this.lastAt, other.lastAt);
    if (other.milliseconds === undefined) return;
    this.milliseconds ??= new Array<number>(CLASSES_MS.length + 1).fill(0);
    other.milliseconds.forEach((count, place) => (this.milliseconds![place]! += count));
  }

  /** As a row, without what it is of. */
  toRow(): Omit<UsageRow, 'apiKey' | 'hour' | 'instance' | 'kind'> {
    const { name, outcome, calls, credits, bytesIn, bytesOut, upstreamErrors, lastAt, milliseconds } = this;
    const counted = { name, outcome, calls, credits, bytesIn, bytesOut, upstreamErrors, lastAt };
    return milliseconds === undefined ? counted : { ...counted, milliseconds: [...milliseconds] };
  }
}

/** The class of a histogram that a time falls into. */
export function classOf(milliseconds: number): number {
  let place = 0;
  while (place < CLASSES_MS.length && milliseconds > CLASSES_MS[place]!) place++;
  return place;
}
