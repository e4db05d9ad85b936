import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The folder of this package: the build leaves this module in a file one folder below it, as it is here. */
export const PACKAGE_FOLDER = join(__dirname, '..');

/** The version of this package. */
export function packageVersion(): string {
  return (JSON.parse(readFileSync(join(PACKAGE_FOLDER, 'package.json'), 'utf8')) as { version: string }).version;
}
