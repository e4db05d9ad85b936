import { mkdir, readFile, readdir, rename, stat, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { LimitStore, SpentRow } from './limit-store';
import { subjectOf } from './spent-rows';

interface OthersFile {
  readonly stamp: string;
  readonly rows: ReadonlyMap<string, SpentRow>;
}

const NAME = /^spent-[0-9a-z]{1,64}\.json$/;
const FORGOTTEN_AFTER_MS = 3 * 24 * 60 * 60 * 1000;

/** Rows in a folder, one file for each process: `spent-<instance>.json`. It is made when there is something to tell. */
export class SpentFiles implements LimitStore {
  readonly intervalMs = 1000;
  readonly #folder: string;
  #own: ReadonlyMap<string, SpentRow> = new Map();
  #others: ReadonlyMap<string, OthersFile> = new Map();

  constructor(folder: string) {
    this.#folder = folder;
  }

  async exchange(rows: readonly SpentRow[]): Promise<readonly SpentRow[]> {
    const instance = rows[0]?.instance ?? '';
    if (instance !== '') await this.#write(instance, rows);
    await this.#readOthers(instance === '' ? '' : nameOf(instance));
    const others = [...this.#others.values()];
    return rows.flatMap((row) => {
      const subject = subjectOf(row);
      return others.flatMap((file) => file.rows.get(subject) ?? []);
    });
  }

  async #write(instance: string, rows: readonly SpentRow[]): Promise<void> {
    const latest = rows.reduce((day, row) => (row.day > day ? row.day : day), '');
    const kept = [...this.#own].filter(([, { day }]) => day >= latest);
    this.#own = new Map([...kept, ...rows.map((row): [string, SpentRow] => [subjectOf(row), row])]);
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const path = join(this.#folder, nameOf(instance));
    await writeFile(`${path}.tmp`, JSON.stringify({ rows: [...this.#own.values()] }), { mode: 0o600 });
    await rename(`${path}.tmp`, path);
  }

  async #readOthers(ownName: string): Promise<void> {
    const names = (await namesIn(this.#folder)).filter((name) => NAME.test(name) && name !== ownName);
    const files = await Promise.all(names.map(async (name) => [name, await this.#read(name)] as const));
    this.#others = new Map(files.flatMap(([name, file]) => (file === undefined ? [] : [[name, file]])));
  }

  async #read(name: string): Promise<OthersFile | undefined> {
    const path = join(this.#folder, name);
    try {
      const { ino, size, mtimeMs } = await stat(path);
      if (Date.now() - mtimeMs > FORGOTTEN_AFTER_MS) {
        await unlink(path);
        return undefined;
      }
      const stamp = `${String(ino)} ${String(size)} ${String(mtimeMs)}`;
      const known = this.#others.get(name);
      if (known?.stamp === stamp) return known;
      const { rows } = JSON.parse(await readFile(path, 'utf8')) as { readonly rows: readonly SpentRow[] };
      return { stamp, rows: new Map(rows.map((row) => [subjectOf(row), row])) };
    } catch {
      return undefined; // another has removed it, or it is none of ours
    }
  }
}

function nameOf(instance: string): string {
  return `spent-${instance}.json`;
}

async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
