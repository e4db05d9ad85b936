/**
 * A process that writes to a settings file: keys `<name>-0000…`, and `contested-key` over the version 1 that it has read.
 * It says "ready", waits for a line, writes all at once, and says which contested write it made, if any.
 */
require('./typescript.cjs');
const { FileStore } = require('../../lib/stores/file.ts');

const [path, name, count] = process.argv.slice(2);
const store = new FileStore(path);

async function write() {
  const own = Array.from({ length: Number(count) }, (_, n) =>
    store.set({ apiKey: `${name}-${String(n).padStart(4, '0')}`, name }),
  );
  const contested = store.set({ apiKey: 'contested-key', name }, 1).then(
    () => 'won',
    (error) => error.code,
  );
  await Promise.all(own);
  process.stdout.write(`${await contested}\n`);
}

process.stdin.once('data', () => {
  write().then(
    () => process.exit(0),
    (error) => {
      process.stderr.write(`${error.stack}\n`);
      process.exit(1);
    },
  );
});
process.stdout.write('ready\n');
