import express from 'express';
import { basicAuthAdmin } from '../../lib/admin';
import { cli, cliJson } from '../support/cli';
import { basic } from '../support/guarded-app';
import { serve } from '../support/serve';

const PASSWORD = 'correct horse battery';

test('admin hash-password prints the hash that the login of the dashboard takes, and nothing else on stdout', async () => {
  const { code, stdout, stderr } = await cli(['admin', 'hash-password'], { input: `${PASSWORD}\n` });
  expect([code, stdout]).toEqual([0, expect.stringMatching(/^\$scrypt\$\S+\n$/)]);
  expect(stderr).toContain('single quotes');
  const app = express();
  app.use(basicAuthAdmin({ users: { ann: stdout.trim() } }), (_req, res) => void res.send('in'));
  const { url } = await serve(app);
  expect(await (await fetch(url, { headers: basic(PASSWORD, 'ann') })).text()).toBe('in');
});

test('with --json the hash is in an object, and no store is needed', async () => {
  const { hash } = await cliJson<{ hash: string }>(['admin', 'hash-password'], { input: PASSWORD });
  expect(hash).toMatch(/^\$scrypt\$/);
});

test('a password that is too short is refused with 2, and not repeated', async () => {
  const { code, stdout, stderr } = await cli(['admin', 'hash-password'], { input: 'too-short' });
  expect([code, stdout]).toEqual([2, '']);
  expect(stderr).toContain('12 characters or more');
  expect(stderr).not.toContain('too-short');
});
