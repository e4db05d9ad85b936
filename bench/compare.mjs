import { load } from './load.mjs';
import { end, start, startRedis, usageOf } from './processes.mjs';
import { QUICK_SERVERS, SCENARIOS } from './scenarios.mjs';
import { SERVERS } from './servers.mjs';
import { medianOf, spreadOf } from './statistics.mjs';

/**
 * So long that what is compiled in it does not count as the server's cost: Node still compiles after 15,000 requests,
 * which a service has soon behind it.
 */
const WARM_UP_MS = 1200;
const FULL_WARM_UP_MS = 6000;

/**
 * Measures every scenario on every server, in turns: A B C A B C …, so that what slows the machine down slows all.
 * Servers start anew for each, because what one scenario has taught the engine weighs on the next.
 * @returns rows: scenario, server, and medians over the rounds with their spread.
 */
export async function compare({ execPath, name }, { isFull, only = '', rounds, ms }) {
  const { ready: upstreamPort, child: upstream } = await start('upstream.mjs');
  const redisSocket = await startRedis();
  if (redisSocket === undefined) console.log('There is no redis-server in PATH: RedisStore is not measured.');
  const hasVersion4 = Number(/(\d+)/.exec(name)[1]) >= 22;
  const isMeasured = (server) =>
    (isFull || QUICK_SERVERS.includes(server)) &&
    (SERVERS[server].needs !== 'redis' || redisSocket !== undefined) &&
    (SERVERS[server].needs !== 'node22' || hasVersion4);
  const rows = [];
  const warmUpMs = isFull ? FULL_WARM_UP_MS : WARM_UP_MS;
  const launch = (server) =>
    start('server.mjs', [server, String(upstreamPort), redisSocket ?? ''], { execPath, execArgv: ['--expose-gc'] });
  for (const [scenario, { servers, isQuick, starts = 1, ...what }] of Object.entries(SCENARIOS)) {
    if (!scenario.includes(only) || !(isFull || isQuick)) continue;
    const measured = servers.filter(isMeasured);
    const slices = measured.map(() => []);
    for (let n = 0; n < starts; n++) {
      const started = [];
      for (const server of measured) started.push(await launch(server));
      await measureInTurns(started, slices, what, { rounds, ms, warmUpMs });
      await Promise.all(started.map(({ child }) => end(child)));
    }
    for (const [index, server] of measured.entries()) rows.push({ scenario, server, ...summaryOf(slices[index]) });
    printScenario(name, scenario, rows);
  }
  await end(upstream);
  return rows;
}

async function measureInTurns(started, slices, what, { rounds, ms, warmUpMs }) {
  // The first round warms up.
  for (let round = -1; round < rounds; round++) {
    for (const [index, { child, ready: port }] of started.entries()) {
      const slice = await load({ ...what, port, ms: round === -1 ? warmUpMs : ms }, () => usageOf(child));
      if (round >= 0) slices[index].push(slice);
    }
  }
}

function summaryOf(slices) {
  const of = (pick) => slices.map(pick);
  return {
    perSecond: medianOf(of(({ perSecond }) => perSecond)),
    cpu: medianOf(of(({ cpu }) => cpu)),
    p50: medianOf(of(({ p50 }) => p50)),
    p99: medianOf(of(({ p99 }) => p99)),
    spread: spreadOf(of(({ perSecond }) => perSecond)),
    cpuSpread: spreadOf(of(({ cpu }) => cpu)),
    slices,
  };
}

/** How a row stands to another of the same scenario: the median over the rounds of the ratio within each. */
export function ratioOf(row, base, pick) {
  if (row === undefined || base === undefined) return undefined;
  return medianOf(row.slices.map((slice, round) => pick(slice) / pick(base.slices[round])));
}

function printScenario(name, scenario, rows) {
  console.log(`\n${name}: ${scenario}`);
  for (const row of rows.filter((it) => it.scenario === scenario)) {
    const rate = `${row.perSecond.toFixed(0).padStart(7)}/s ±${(row.spread * 50).toFixed(0)} %`;
    const cpu = `${row.cpu.toFixed(1).padStart(8)} µs CPU ±${(row.cpuSpread * 50).toFixed(0)} %`;
    console.log(`  ${row.server.padEnd(30)} ${rate} ${cpu}  p50 ${row.p50.toFixed(2)} p99 ${row.p99.toFixed(2)} ms`);
  }
}
