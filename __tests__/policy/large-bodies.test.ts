import { KEY, call, guardedApp } from '../support/guarded-app';
import { CONTRACT } from '../support/pieces';
import { errorOf } from '../support/refusal-table';
import { post } from '../support/reply';

const OTHER = '0x00000000000000000000000000000000000abcde';

describe('with maxBatchSize 20,000', () => {
  const given = {
    keys: [{ apiKey: KEY, allowlists: { contractAddresses: [CONTRACT] } }],
    options: { maxBatchSize: 20_000, maxBodyBytes: 32 * 1024 * 1024 },
  };

  test('eth_getLogs with 300,000 addresses is decided by all of them', async () => {
    const app = await guardedApp(given);
    const logs = (last: string) => {
      const address = Array.from({ length: 300_000 }, (_, n) => (n === 299_999 ? last : CONTRACT));
      return post(app.rpcUrl, call('eth_getLogs', [{ address }], 7));
    };
    expect((await logs(CONTRACT)).status).toBe(200);
    expect(app.upstream.seen).toHaveLength(1);
    expect((await logs(OTHER)).json).toMatchObject({ id: 7, error: errorOf('CONTRACT_ADDRESS_NOT_ALLOWED') });
    expect(app.upstream.seen).toHaveLength(1);
  });

  test('a batch of 20,000 calls is answered call by call, and one more is too many', async () => {
    const app = await guardedApp(given);
    const batch = Array.from({ length: 20_000 }, (_, id) => call('eth_getBalance', [OTHER, 'latest'], id));
    const { status, text } = await post(app.rpcUrl, batch);
    const answers = JSON.parse(text) as { id: number }[];
    expect([status, answers.length]).toEqual([200, 20_000]);
    expect(answers.every(({ id }, n) => id === n)).toBe(true);
    expect((await post(app.rpcUrl, [...batch, batch[0]])).status).toBe(413);
    expect(app.upstream.seen).toEqual([]);
  });
});
