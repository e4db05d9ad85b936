import { addressTable } from '../../lib/allowlists/address-table';
import { createMethodLabel } from '../../lib/telemetry/guard-metrics';
import { memoryKept } from '../support/memory-kept';

test('a method is a label without the body that it came in', async () => {
  const table = addressTable({});
  const methods = [...table.keys()].filter(({ length }) => length > 16).slice(0, 40);
  const label = createMethodLabel(table);
  const labels: string[] = [];
  const kept = await memoryKept(() => {
    for (const method of methods) {
      const body = Buffer.from(`${method}${'0'.repeat(1_000_000)}`).toString();
      labels.push(label(body.slice(0, method.length)));
    }
  });
  expect(labels).toEqual(methods);
  expect(kept).toBeLessThan(15_000_000);
});
