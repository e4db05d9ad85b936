import { FileStore, hashSecret } from '../../lib';
import { cli, newFile } from '../support/cli';
import { KEY } from '../support/pieces';
import { putTraffic } from '../support/used-key';

async function usedKey(): Promise<string> {
  const file = newFile();
  const store = new FileStore(file);
  await store.set({ apiKey: KEY, secrets: [{ id: 'billing', hash: hashSecret('x'), allowlists: {} }] }, 0);
  await putTraffic(store, KEY, [
    { kind: 'method', name: 'eth_call', calls: 970 },
    { kind: 'method', name: '(unknown)', calls: 30 },
    { kind: 'method', name: 'eth_gasPrice', calls: 300 },
    { kind: 'secret', name: 'billing', calls: 300 },
    { kind: 'secret', name: 'billing', calls: 20, hoursAgo: 1 },
    { kind: 'ofSecret', name: 'method eth_gasPrice billing', calls: 320 },
  ]);
  await store.close();
  return file;
}

test('suggest shows what it proposes, and adds it with --apply when it is confirmed', async () => {
  const store = await usedKey();
  const { stdout, code } = await cli(['suggest', KEY], { store });
  expect(code).toBe(0);
  expect(stdout).toMatch(/^\d+ allowed calls in 2(\.\d)? days$/m);
  expect(stdout).toMatch(/^\[x\] +eth_call +970 +97 % +2 days ago\nno entry could let pass: \(unknown\) 30$/m);
  expect((await cli(['suggest', KEY, '--enforce'], { store })).code).toBe(2);
  expect((await cli(['suggest', KEY, '--apply'], { store })).code).toBe(2);
  expect((await cli(['suggest', KEY, '--apply', '--yes'], { store })).stdout).toContain(
    'methods adds eth_call (report-only: refuses nothing yet)',
  );
  const shown = await cli(['keys', 'show', KEY], { store });
  expect(shown.stdout).toMatch(/^Report-only +methods since /m);
});

test("suggest --secret adds to a secret's own lists what this secret did", async () => {
  const store = await usedKey();
  const { stdout, code } = await cli(['suggest', KEY, '--secret', 'billing', '--apply', '--enforce', '--yes'], {
    store,
  });
  expect([code, stdout]).toEqual([0, expect.stringContaining('methods adds eth_gasPrice')]);
  expect((await cli(['keys', 'show', KEY], { store })).stdout).toMatch(
    /Allowlists of the secret billing[^]*eth_gasPrice/,
  );
  const unknown = await cli(['suggest', KEY, '--secret', 'nobody'], { store });
  expect([unknown.code, unknown.stderr]).toEqual([3, expect.stringContaining('no secret of this id')]);
});
