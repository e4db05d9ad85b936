/**
 * A process that writes history beside a settings file. `rotate <file> <name> <count> <bytes>` appends so many events, in
 * files of so many bytes; `change <file> <key>` says that it is ready, and changes the key from a message on, until it is
 * killed.
 */
require('./typescript.cjs');
const { FileStore } = require('../../lib/stores/file.ts');
const { KeyManager } = require('../../lib/keys/key-manager.ts');
const { AuditFiles } = require('../../lib/stores/audit-files.ts');
const { auditEvent } = require('../../lib/stores/audit-event.ts');
const { lockFile } = require('../../lib/stores/file-lock.ts');

const [what, path, ...rest] = process.argv.slice(2);

async function rotate([actor, count, maxBytes]) {
  const inLock = async (work) => {
    const lock = await lockFile(path);
    try {
      return await work();
    } finally {
      await lock.release();
    }
  };
  const files = new AuditFiles({ path: () => path, inLock, isMade: () => true }, Number(maxBytes));
  for (let version = 1; version <= Number(count); version++) {
    await inLock(() =>
      files.appendLocked([auditEvent({ actor, via: 'code', action: 'key.update', apiKey: `${actor}-key`, version })]),
    );
  }
}

async function change([apiKey]) {
  const manager = new KeyManager(new FileStore(path));
  process.send('ready');
  await new Promise((resolve) => process.once('message', resolve));
  for (let n = 0; ; n++) {
    await manager.update(apiKey, { name: `${process.pid} ${n}` });
    if (n === 0) process.send('changed');
  }
}

({ rotate, change })[what](rest).catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
});
