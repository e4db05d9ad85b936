import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { prometheusMetrics } from '../../lib/telemetry/prometheus';
import type { RegisteredMetric } from '../../lib/telemetry/prometheus';
import { guardedApp } from '../support/guarded-app';
import { hasPromtool, promtool } from '../support/promtool';

const FOLDER = join(__dirname, '../../docs/grafana');
const ALERTS = join(FOLDER, 'alerts.yml');
const texts = {
  'alerts.yml': readFileSync(ALERTS, 'utf8'),
  'dashboard.json': readFileSync(join(FOLDER, 'dashboard.json'), 'utf8'),
  'observability.md': readFileSync(join(FOLDER, '../observability.md'), 'utf8'),
};

async function existingNames(): Promise<Set<string>> {
  const { guard } = await guardedApp();
  const metrics: RegisteredMetric[] = [];
  prometheusMetrics(guard).register({ contentType: '', registerMetric: (metric) => metrics.push(metric) });
  const families = await Promise.all(metrics.map((metric) => metric.get()));
  return new Set(
    families.flatMap(({ name, type }) =>
      type === 'histogram' ? [name, `${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
    ),
  );
}

test.each(Object.entries(texts))('%s names only metrics that exist', async (_file, text) => {
  const names = await existingNames();
  const named = [...new Set(text.match(/\brpc_guard_[a-z_]+\b/g))];
  expect(named.length).toBeGreaterThan(5);
  expect(named.filter((name) => !names.has(name))).toEqual([]);
});

test('the dashboard has a query in each panel, and takes any data source', () => {
  const { panels } = JSON.parse(texts['dashboard.json']) as {
    panels: readonly { title: string; datasource: { uid: string }; targets: readonly { expr: string }[] }[];
  };
  for (const { datasource, targets } of panels) {
    expect(datasource.uid).toBe('${datasource}');
    expect(targets.length).toBeGreaterThan(0);
  }
});

test('each alert says what to look at', () => {
  const { groups } = parse(texts['alerts.yml']) as {
    groups: readonly { rules: readonly { alert: string; annotations: { summary: string } }[] }[];
  };
  expect(groups.flatMap(({ rules }) => rules.filter(({ annotations }) => annotations.summary === ''))).toEqual([]);
});

(hasPromtool ? test : test.skip)('promtool takes the alerts', () => {
  expect(promtool(['check', 'rules', ALERTS])).toMatchObject({ ok: true });
});
