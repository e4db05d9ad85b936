import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const HERE = fileURLToPath(new URL('.', import.meta.url));

/** Installs what the measurements need besides the guard's own packages, once. */
export function installOnce() {
  if (existsSync(`${HERE}node_modules/@fastify/http-proxy`)) return;
  console.log('Installing the packages of bench/ …');
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  const { status } = spawnSync(npm, ['install', '--loglevel=error'], { cwd: HERE, stdio: 'inherit', timeout: 300_000 });
  if (status !== 0) throw new Error('npm install in bench/ failed');
}

/** The Node binaries to measure on, the running one first. */
export function nodesToMeasure(isFull) {
  const nodes = [{ name: `Node ${process.versions.node}`, execPath: process.execPath }];
  if (!isFull || process.versions.node.startsWith('24.')) return nodes;
  const execPath = `${HERE}node_modules/node-${process.platform}-${process.arch}/bin/node`;
  if (!existsSync(execPath)) {
    console.log(`No package of Node 24 for ${process.platform}-${process.arch}: only the running Node is measured.`);
    return nodes;
  }
  const version = spawnSync(execPath, ['--version'], { encoding: 'utf8' }).stdout.trim().slice(1);
  return [...nodes, { name: `Node ${version}`, execPath }];
}
