// The suites that start nothing, neither a process nor a server: they need no build and end within seconds. Their
// imports tell, so that a new suite is found without a list.
import { readFileSync, readdirSync } from 'node:fs';
import config from './jest.config.mjs';

const STARTS_SOMETHING =
  /from '(?:express(?:-4)?|ws|playwright-core|node:(?:child_process|http|net)|[./]+\/support\/(?!(?:cleanup|local-store|pieces|until)').*)'/;

const folder = new URL('__tests__/', import.meta.url);
const suites = readdirSync(folder, { recursive: true }).filter((name) => name.endsWith('.test.ts'));
const pure = suites.filter((name) => !STARTS_SOMETHING.test(readFileSync(new URL(name, folder), 'utf8')));

export default { ...config, testMatch: pure.map((name) => `<rootDir>/__tests__/${name}`) };
