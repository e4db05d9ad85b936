import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const STOP_MS = 3000;

/**
 * Starts a real Ethereum node on a free port. It is the platform package's own binary, because the npm shim in front of
 * it downloads one. `onDeath(how)` is called when it ends without having been told to.
 */
export async function startAnvil(args, onDeath) {
  // Detached: Ctrl-C reaches the whole group of a terminal, and this process wants to end its node by itself.
  const child = spawn(anvilBinary(), ['--host', '127.0.0.1', '--port', '0', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
    windowsHide: true,
  });
  const killNow = () => child.kill('SIGKILL');
  process.once('exit', killNow);

  let complaints = '';
  child.stderr.on('data', (chunk) => {
    complaints = `${complaints}${chunk}`.slice(-2000);
  });
  let stopping = false;
  let running = false;

  const port = await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      process.off('exit', killNow);
      const how = `anvil ended with ${signal ?? `code ${code}`}${complaints && `:\n${complaints.trim()}`}`;
      if (!running) reject(new Error(how));
      else if (!stopping) onDeath(how);
    });
    createInterface(child.stdout).on('line', (line) => {
      const match = /^Listening on 127\.0\.0\.1:(\d+)/.exec(line);
      if (match) resolve(Number(match[1]));
    });
  });
  running = true;

  return {
    url: `http://127.0.0.1:${port}`,
    pid: child.pid,
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      stopping = true;
      const exited = once(child, 'exit');
      child.kill();
      const timer = setTimeout(killNow, STOP_MS);
      await exited;
      clearTimeout(timer);
    },
  };
}

function anvilBinary() {
  const architecture = process.arch === 'x64' ? 'amd64' : process.arch;
  const file = process.platform === 'win32' ? 'anvil.exe' : 'anvil';
  try {
    return createRequire(import.meta.url).resolve(`@foundry-rs/anvil-${process.platform}-${architecture}/bin/${file}`);
  } catch {
    throw new Error(
      `there is no anvil for ${process.platform} ${process.arch} in node_modules; run npm install, or set UPSTREAM_URL`,
    );
  }
}
