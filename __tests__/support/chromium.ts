import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';
import type { Browser } from 'playwright-core';

/** Debian's shell without windows opens a page in half of Chromium's time. */
const CHROMIUM =
  process.env['CHROMIUM'] ?? ['/usr/bin/chromium-headless-shell', '/usr/bin/chromium'].find((path) => existsSync(path));
const ARGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--disable-component-update'];

const hasChromium = CHROMIUM !== undefined && existsSync(CHROMIUM);
if (!hasChromium) console.warn('Chromium is not on this machine: what it is needed for is not tested');

/** `test` where there is a browser, and in CI, where its absence is a failure. */
export const inBrowser = hasChromium || process.env['CI'] ? test : test.skip;

export function launchChromium(...args: readonly string[]): Promise<Browser> {
  if (CHROMIUM === undefined) throw new Error('Install chromium, or name its path in $CHROMIUM');
  return chromium.launch({ executablePath: CHROMIUM, args: [...ARGS, ...args] });
}
