// A small Express backend: a page, a JSON API of its own, helmet. What makes it guard a node is between the two lines.
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';
import express from 'express';
import helmet from 'helmet';
import { rpcGuard } from 'rpc-guard';
import { basicAuthAdmin, rpcGuardAdmin } from 'rpc-guard/admin';

const MAX_NOTES = 20;

/**
 * `app.locals.dapp`, once it is set, is what the page is told: its API key, the contract, the chain. Never a secret.
 * `rpcGuard` takes `upstream` and `store`; `users` are those of the dashboard: name → password hash.
 */
export function buildServer({ upstream, store, users }) {
  const app = express();
  const server = createServer(app);
  app.use(helmet({ contentSecurityPolicy: { directives: { upgradeInsecureRequests: null } } })); // it runs on http://

  // ------------------------------------------------------------------------------------------------ rpc-guard
  const guard = rpcGuard({ upstream, store });
  app.use(guard); // HTTP
  server.on('upgrade', guard.upgrade); // WebSocket
  const admin = rpcGuardAdmin({ upstream, store, authorize: basicAuthAdmin({ users }) });
  app.use('/admin', admin); // the dashboard
  // ----------------------------------------------------------------------------------------------------------

  app.use(express.static(folder('./public/')));
  app.use('/vendor/ethers', express.static(folder('../dist/', import.meta.resolve('ethers'))));

  app.get('/api/dapp', (req, res) => {
    res.set('Cache-Control', 'no-store').json(app.locals.dapp);
  });

  const notes = [];
  app.get('/api/notes', (req, res) => {
    res.json(notes);
  });
  app.post('/api/notes', express.json(), (req, res) => {
    const text = typeof req.body?.text === 'string' ? req.body.text.trim() : '';
    if (text === '' || text.length > 140) return res.status(400).json({ error: 'A note has 1 to 140 characters.' });
    notes.unshift({ text, at: new Date().toISOString() });
    notes.length = Math.min(notes.length, MAX_NOTES);
    res.status(201).json(notes[0]);
  });

  return { app, server, guard, admin };
}

function folder(path, base = import.meta.url) {
  return fileURLToPath(new URL(path, base));
}
