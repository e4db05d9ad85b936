export type Labels = Readonly<Record<string, string>>;

/** One line of a metric. */
export interface Sample {
  readonly labels: Labels;
  readonly value: number;
  /** What a histogram's lines have after the name: `_bucket`, `_sum`, `_count`. */
  readonly suffix?: string;
}

export interface Metric {
  /** A counter's ends in `_total`. */
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  /** How values of several processes become one. */
  readonly aggregator: 'sum' | 'min' | 'first';
  readonly samples: () => readonly Sample[];
}

/** What is counted under one set of values of the labels. */
interface Count {
  readonly values: readonly string[];
  readonly labels: Labels;
  value: number;
}

/** A counter whose labels have values that the caller bounds. */
export class Counter implements Metric {
  readonly type = 'counter';
  readonly aggregator = 'sum';
  readonly #labels: readonly string[];
  readonly #counts = new Map<string, Count>();
  #last: Count | undefined;

  constructor(
    readonly name: string,
    readonly help: string,
    ...labels: readonly string[]
  ) {
    this.#labels = labels;
    if (labels.length === 0) this.add(0);
  }

  /** `values` are those of the labels, in their order. */
  add(amount: number, ...values: readonly string[]): void {
    const last = this.#last;
    const count = last !== undefined && isSame(values, last.values) ? last : this.#countOf(values);
    count.value += amount;
  }

  /** Most requests count as the one before them: a key for each took half of the metrics' time. */
  #countOf(values: readonly string[]): Count {
    const key = values.join('\0');
    let count = this.#counts.get(key);
    if (count === undefined) {
      const labels = Object.fromEntries(this.#labels.map((label, at) => [label, values[at] ?? '']));
      this.#counts.set(key, (count = { values, labels, value: 0 }));
    }
    this.#last = count;
    return count;
  }

  readonly samples = (): readonly Sample[] => [...this.#counts.values()];
}

function isSame(values: readonly string[], others: readonly string[]): boolean {
  for (let at = 0; at < values.length; at++) if (values[at] !== others[at]) return false;
  return true;
}

interface Observations {
  readonly counts: number[];
  sum: number;
}

/** A histogram of seconds with one label, whose values the caller bounds. */
export class Histogram implements Metric {
  readonly type = 'histogram';
  readonly aggregator = 'sum';
  readonly #observed = new Map<string, Observations>();

  constructor(
    readonly name: string,
    readonly help: string,
    private readonly bounds: readonly number[],
    private readonly label: string,
  ) {}

  observe(seconds: number, label: string): void {
    let observed = this.#observed.get(label);
    if (observed === undefined) {
      const counts = Array.from({ length: this.bounds.length + 1 }, () => 0);
      this.#observed.set(label, (observed = { counts, sum: 0 }));
    }
    let at = 0;
    while (at < this.bounds.length && seconds > this.bounds[at]!) at++;
    observed.counts[at]!++;
    observed.sum += seconds;
  }

  readonly samples = (): readonly Sample[] =>
    [...this.#observed].flatMap(([name, { counts, sum }]) => {
      const labels = { [this.label]: name };
      let count = 0;
      const buckets = counts.map((own, at) => {
        count += own;
        const le = at === this.bounds.length ? '+Inf' : String(this.bounds[at]);
        return { suffix: '_bucket', labels: { le, ...labels }, value: count };
      });
      return [...buckets, { suffix: '_sum', labels, value: sum }, { suffix: '_count', labels, value: count }];
    });
}

/** A value that is looked up when it is asked for; none while `read` gives none. */
export function gauge(
  name: string,
  help: string,
  read: () => readonly Sample[],
  aggregator: Metric['aggregator'] = 'sum',
): Metric {
  return { name, help, type: 'gauge', aggregator, samples: read };
}

/** A counter that is kept elsewhere. */
export function counterOf(name: string, help: string, read: () => number): Metric {
  return { name, help, type: 'counter', aggregator: 'sum', samples: () => [{ labels: {}, value: read() }] };
}
