import { refuse } from '../../lib/policy/refusals';
import type { Reason } from '../../lib/policy/refusals';
import { REFUSED, RefusalLog, WOULD_REFUSE } from '../../lib/observe/refusal-log';

interface Line {
  readonly level: string;
  readonly key?: string;
  readonly reason?: string;
  readonly wouldRefuse?: unknown;
  readonly count?: number;
  readonly reasons?: object;
  readonly methods?: readonly string[];
}

function startLog(kind = REFUSED): { readonly log: RefusalLog; readonly lines: Line[] } {
  const lines: Line[] = [];
  const at = (level: string) => (fields: object) => lines.push({ level, ...fields });
  return { log: new RefusalLog({ info: at('info'), warn: at('warn'), error: at('error') }, kind), lines };
}

function refused(apiKey: string, reason: Reason) {
  return { apiKey, requestId: 'r', refusal: refuse(reason), methods: [] };
}

beforeEach(() => jest.useFakeTimers());
afterEach(() => jest.useRealTimers());

test('sums what is over ten refusals of a key in a second, in one line with their count', () => {
  const { log, lines } = startLog();
  for (let n = 0; n < 30; n++) log.add(refused('flooding-key', 'METHOD_NOT_ALLOWED'));
  for (let n = 0; n < 5; n++) log.add(refused('flooding-key', 'RATE_LIMITED'));
  log.add(refused('quiet-key', 'RATE_LIMITED'));
  expect(lines.map(({ key }) => key)).toEqual([...Array.from({ length: 10 }, () => 'floodi…'), 'quie…']);
  jest.advanceTimersByTime(1000);
  expect(lines.slice(11)).toEqual([
    { level: 'info', key: 'floodi…', count: 25, reasons: { METHOD_NOT_ALLOWED: 20, RATE_LIMITED: 5 } },
  ]);
});

test('starts again each second, and says nothing of a second without a flood', () => {
  const { log, lines } = startLog();
  for (let second = 0; second < 3; second++) {
    for (let n = 0; n < 10; n++) log.add(refused('busy-key', 'RATE_LIMITED'));
    jest.advanceTimersByTime(1000);
  }
  expect(lines).toHaveLength(30);
  expect(lines.every(({ reason }) => reason === 'RATE_LIMITED')).toBe(true);
});

test('counts keys that do not exist together: callers could make up one for each line', () => {
  const { log, lines } = startLog();
  for (let n = 0; n < 1000; n++) log.add(refused(`made-up-${String(n)}`, 'KEY_UNKNOWN'));
  jest.advanceTimersByTime(1000);
  expect(lines).toHaveLength(11);
  expect(lines[10]).toEqual({ level: 'info', key: undefined, count: 990, reasons: { KEY_UNKNOWN: 990 } });
});

test('names each method of a batch once, and the first 20', () => {
  const { log, lines } = startLog();
  const methods = Array.from({ length: 1000 }, (_, n) => `eth_${String(n >> 1)}`);
  log.add({ ...refused('a-key-of-mine', 'METHOD_NOT_ALLOWED'), methods });
  log.close();
  expect(lines[0]?.methods).toEqual(Array.from({ length: 20 }, (_, n) => `eth_${String(n)}`));
});

test('logs what it has summed when it closes', () => {
  const { log, lines } = startLog();
  for (let n = 0; n < 12; n++) log.add(refused('flooding-key', 'CONFIGURATION_ERROR'));
  log.close();
  expect(lines[10]).toMatchObject({ level: 'error', count: 2 });
  expect(jest.getTimerCount()).toBe(0);
});

test('names what only would be refused in another member, so that no one counts it as refused', () => {
  const { log, lines } = startLog(WOULD_REFUSE);
  for (let n = 0; n < 12; n++) log.add(refused('key-on-trial', 'ORIGIN_NOT_ALLOWED'));
  log.close();
  expect(lines[0]).toMatchObject({ wouldRefuse: 'ORIGIN_NOT_ALLOWED', requestId: 'r' });
  expect(lines[0]).not.toHaveProperty('reason');
  expect(lines[10]).toEqual({ level: 'info', key: 'key-on…', count: 2, wouldRefuse: { ORIGIN_NOT_ALLOWED: 2 } });
});
