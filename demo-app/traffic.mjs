// A day of made-up traffic, so that the dashboard's Usage tab has something to show on the first start. It says what it
// is: its user agent is `demo-traffic`, and its request ids begin with `demo-`.
const HOUR_MS = 3600 * 1000;
const HOURS = 24;
const CLASSES = 15;
const METHODS = [
  ['eth_call', 0.55],
  ['eth_blockNumber', 0.25],
  ['eth_getBalance', 0.15],
  ['eth_chainId', 0.05],
];

/** Puts it into the usage of `store`, under a process called `demo`: a second time changes nothing. */
export async function putTraffic(store, { browser, server }, contract, now = Date.now()) {
  const rows = [];
  for (let ago = HOURS; ago >= 1; ago--) {
    const at = Math.floor(now / HOUR_MS - ago) * HOUR_MS;
    const busy = 1 + Math.sin(((HOURS - ago) / HOURS) * Math.PI); // a day has its noon
    rows.push(...hourOf(browser.apiKey, at, Math.round(700 * busy), contract, 'http://localhost:3000'));
    rows.push(...hourOf(server.apiKey, at, Math.round(300 * busy), contract, '(none)'));
  }
  await store.usage.write(rows);
}

function hourOf(apiKey, at, calls, contract, origin) {
  const refused = Math.round(calls * (at % (5 * HOUR_MS) === 0 ? 0.2 : 0.02));
  const row = (kind, name, outcome, count, more) => ({
    apiKey,
    hour: new Date(at).toISOString().replace('.000', ''),
    instance: 'demo',
    kind,
    name,
    outcome,
    calls: count,
    credits: outcome === 'allowed' ? count : 0,
    bytesIn: 150 * count,
    bytesOut: 90 * count,
    upstreamErrors: 0,
    lastAt: at + HOUR_MS - 1000,
    ...more,
  });
  const milliseconds = Array.from({ length: CLASSES }, (_, n) => ([0.1, 0.4, 0.3, 0.15, 0.05][n] ?? 0) * calls);
  const group = JSON.stringify(['eth_getLogs', origin, 'demo-traffic', '', 'http', '']);
  const detail = { first: at + 60_000, requestIds: [`demo-${String(at / HOUR_MS)}`] };
  const times = milliseconds.map(Math.round);
  return [
    row('total', '', 'allowed', calls, { requests: calls, peak: Math.ceil(calls / 200), milliseconds: times }),
    row('total', '', 'METHOD_NOT_ALLOWED', refused, { requests: refused, peak: 0 }),
    ...METHODS.map(([name, share]) => row('method', name, 'allowed', Math.round(share * calls))),
    row('method', 'eth_getLogs', 'METHOD_NOT_ALLOWED', refused),
    row('address', contract.toLowerCase(), 'allowed', Math.round(0.55 * calls)),
    row('origin', origin, 'allowed', calls),
    row('origin', origin, 'METHOD_NOT_ALLOWED', refused),
    row('userAgent', 'demo-traffic', 'allowed', calls),
    row('userAgent', 'demo-traffic', 'METHOD_NOT_ALLOWED', refused),
    row('wire', 'http', 'allowed', calls),
    row('refusal', group, 'METHOD_NOT_ALLOWED', refused, { detail }),
  ];
}
