import { appendFileSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { auditEvent } from '../../lib/stores/audit-event';
import { AuditIndex } from '../../lib/stores/audit-index';
import { endAfterTest } from '../support/cleanup';
import { KEY } from '../support/pieces';

test('a file that grows and is renamed while it is read loses no event', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'rpc-guard-'));
  endAfterTest(() => rmSync(folder, { recursive: true }));
  const [newest, older] = [join(folder, '0.jsonl'), join(folder, '1.jsonl')] as const;
  let version = 0;
  const append = (): void => {
    const event = auditEvent({ actor: 'ann', via: 'code', action: 'key.update', apiKey: KEY, version: ++version });
    appendFileSync(newest, `${JSON.stringify(event)}\n`);
  };
  let between = (): void => {
    append();
    renameSync(newest, older);
  };
  function* paths(): Generator<string, void> {
    yield newest;
    between();
    yield older;
  }
  // What happens between two files happens as they are asked for.
  const index = new AuditIndex(() => ({ [Symbol.iterator]: paths }) as unknown as readonly string[]);
  const versions = async () => (await index.find({ limit: 10 })).map((event) => event.version);
  for (let n = 0; n < 3; n++) append();
  expect(await versions()).toEqual([4, 3, 2, 1]);
  between = () => undefined;
  append();
  expect(await versions()).toEqual([5, 4, 3, 2, 1]);
});
