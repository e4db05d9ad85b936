import { spawn } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';

const ROOT = join(__dirname, '../..');
/** Set by npm and jest for what they run; a user's shell has none of it. */
const NOT_INHERITED = /^(?:npm_|jest_|node_options$|node_v8_coverage$|node_env$|ts_jest$)/i;

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface InstalledPackage {
  /** A project with the package in its `node_modules`. */
  readonly folder: string;
  /** What the tarball holds, without the leading `package/`. */
  readonly packed: readonly string[];
  /** The `package.json` of the tarball. */
  readonly manifest: Readonly<Record<string, unknown>>;
  remove(): void;
}

/**
 * Packs the package as `npm run build` made it, and unpacks it into the `node_modules` of a project. Beside it are links to what its `package.json` declares and to `extras`, nothing else: what it needs and does not declare is
 * missing there too.
 */
export async function installPackage(extras: Readonly<Record<string, string>>): Promise<InstalledPackage> {
  const temporary = mkdtempSync(join(tmpdir(), 'rpc-guard-package-'));
  const folder = join(temporary, 'project');
  const modules = join(folder, 'node_modules');
  mkdirSync(join(modules, '@types'), { recursive: true });

  const pack = ['pack', '--offline', '--ignore-scripts', '--pack-destination', temporary];
  await expectSuccess(run('npm', pack, { cwd: ROOT }));
  const tarball = readdirSync(temporary).find((name) => name.endsWith('.tgz')) ?? '';
  const list = await expectSuccess(run('tar', ['-tzf', join(temporary, tarball)], { cwd: temporary }));
  await expectSuccess(run('tar', ['-xzf', join(temporary, tarball)], { cwd: temporary }));
  cpSync(join(temporary, 'package'), join(modules, 'rpc-guard'), { recursive: true });
  const manifest = JSON.parse(readFileSync(join(modules, 'rpc-guard/package.json'), 'utf8')) as Record<string, unknown>;
  const { dependencies = {} } = manifest as { dependencies?: Record<string, string> };
  for (const name of Object.keys(dependencies)) link(name, join(ROOT, 'node_modules', name));
  for (const [name, target] of Object.entries(extras)) link(name, target);

  function link(name: string, target: string): void {
    mkdirSync(dirname(join(modules, name)), { recursive: true });
    if (!existsSync(join(modules, name))) symlinkSync(target, join(modules, name));
  }

  return {
    folder,
    manifest,
    packed: list.stdout
      .trim()
      .split('\n')
      .map((name) => name.replace(/^package\//, '')),
    remove: () => rmSync(temporary, { recursive: true, force: true }),
  };
}

/** Where a package of the repository's own `node_modules` is. */
export function ownModule(name: string): string {
  return join(ROOT, 'node_modules', name);
}

/** Writes files into a project's folder. */
export function write(folder: string, files: Readonly<Record<string, string>>): void {
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), content);
  }
}

export interface RunOptions {
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs a command to its end, in an environment such as a user's. */
export async function run(command: string, args: readonly string[], { cwd, env = {} }: RunOptions): Promise<Finished> {
  const inherited = Object.entries(process.env).filter(([name]) => !NOT_INHERITED.test(name));
  const child = spawn(command, args, {
    cwd,
    env: { ...Object.fromEntries(inherited), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exit = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  const [code, stdout, stderr] = await Promise.all([exit, text(child.stdout), text(child.stderr)]);
  return { code, stdout, stderr };
}

export async function expectSuccess(finished: Promise<Finished>): Promise<Finished> {
  const { code, stdout, stderr } = await finished;
  if (code !== 0) throw new Error(`ended with ${String(code)}\n${stdout}\n${stderr}`);
  return { code, stdout, stderr };
}
