import { ratioOf } from './compare.mjs';

const ONE = 'one call, 150 B';
const ALL = 'one call, limits, usage, metrics and report-only on against all off';
const perSecond = (slice) => slice.perSecond;
const cpu = (slice) => slice.cpu;

/** The targets, and how far one run is from each. */
export function targetsOf({ name, rows, inside, startup, soak }) {
  const find = (scenario, server) => rows.find((row) => row.scenario === scenario && row.server === server);
  const ratio = (server, base, pick, scenario = ONE, baseScenario = scenario) =>
    ratioOf(find(scenario, server), find(baseScenario, base), pick);
  const guard = 'rpcGuard 3 MemoryStore';
  const guard4 = 'rpcGuard 4 MemoryStore';
  const bare = 'bare http-proxy-middleware 3';
  const bare4 = 'bare http-proxy-middleware 4';
  const allOn = 'rpcGuard 3, all on';
  const allOff = 'rpcGuard 3, all off';
  const on20 = (bound, onLater) => (name.startsWith('Node 20') ? bound : onLater);
  const worst = Math.max(
    ...Object.keys(inside)
      .filter(isHostile)
      .map((name) => inside[name]),
  );
  const lookups = Object.keys(inside).filter((name) => name.startsWith('lookup through the cache, among'));
  const secret = 'one call, secret and four lists of 30';

  return [
    most('one call: CPU against bare version 3', on20(0.85, 0.9), ratio(guard, bare, cpu)),
    most('one call: CPU against bare version 4', 0.9, ratio(guard4, bare4, cpu)),
    least('one call: throughput against bare version 3', on20(1.15, 1.08), ratio(guard, bare, perSecond)),
    least('one call: throughput against bare version 4', 1.08, ratio(guard4, bare4, perSecond)),
    most('secret and four lists of 30: CPU against bare', 0.95, ratio(guard, bare, cpu, secret)),
    least('throughput against the hand-written guard', on20(1.5, 1.35), ratio(guard, 'hand-written guard', perSecond)),
    least('batch of 100: throughput against bare', 0.65, ratio(guard, bare, perSecond, 'batch of 100')),
    least('256 KB body: throughput against bare', 0.55, ratio(guard, bare, perSecond, 'one call, 256 KB')),
    least(
      'WebSocket messages against a bare ws relay',
      0.85,
      ratio(guard, 'bare ws relay', perSecond, 'WebSocket messages'),
    ),
    most('limits, usage, metrics, report-only on: CPU against all off', 1.05, ratio(allOn, allOff, cpu, ALL)),
    most('start-up: require of guard and FileStore', 60, startup.required, 'ms'),
    most('admit + checkCall, secret and full lists', 6, inside['admit + checkCall, secret and four lists of 30'], 'µs'),
    most('admit + checkCall, no secret', 2.5, inside['admit + checkCall, no secret, four lists of 30'], 'µs'),
    most('strict parse + serialise, 200 B', 4, inside['strict parse + serialise, 200 B'], 'µs'),
    most('strict parse + serialise, 1 MB of hex', 4, inside['strict parse + serialise, 1 MB of hex'] / 1000, 'ms'),
    most('strict parse + serialise, the worst hostile 1 MB', 20, worst / 1000, 'ms'),
    most('a call in a batch of 100', 3, inside['batch of 100, a call'], 'µs'),
    least(
      'refused at the key: cheaper than allowed',
      2,
      inverse(ratio(guard, guard, cpu, 'refused at the key', ONE)),
      '×',
    ),
    least(
      'refused at the Origin: cheaper than allowed',
      2,
      inverse(ratio(guard, guard, cpu, 'refused at the Origin', secret)),
      '×',
    ),
    most(
      'bytes a key in MemoryStore',
      1024,
      inside[Object.keys(inside).find((name) => name.startsWith('bytes a key in MemoryStore'))],
    ),
    most('lookup among many against among 1000', 1.5, inside[lookups[2]] / inside[lookups[1]]),
    most('soak: heap after against before', 1.05, soak.after.heap / soak.before.heap),
    most('soak: RSS after against before', 1.1, soak.after.rss / soak.before.rss),
    most('soak: sockets and timers more than before', 0, Math.max(0, openIn(soak.after) - openIn(soak.before))),
  ].filter(({ value }) => value !== undefined);
}

function isHostile(name) {
  return name.startsWith('hostile');
}

function openIn({ sockets, timers }) {
  return sockets + timers;
}

function inverse(value) {
  return value && 1 / value;
}

function least(name, bound, value, unit = '') {
  return target(name, `≥ ${bound}`, value, unit, value >= bound, 1 - value / bound);
}

function most(name, bound, value, unit = '') {
  return target(name, `≤ ${bound}`, value, unit, value <= bound, value / bound - 1);
}

function target(name, wanted, value = undefined, unit, isMet, missedBy) {
  if (value === undefined) return { value };
  const verdict = isMet ? 'met' : `missed by ${(missedBy * 100).toFixed(0)} %`;
  const measured = value < 100 ? value.toFixed(2) : value.toFixed(0);
  return { name, wanted: `${wanted} ${unit}`.trim(), measured: `${measured} ${unit}`.trim(), value, verdict };
}
