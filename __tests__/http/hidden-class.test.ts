import { IncomingMessage, ServerResponse } from 'node:http';
import type { RequestListener } from 'node:http';
import { Socket } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInThisContext } from 'node:vm';
import express from 'express';
import express4 from 'express-4';
import { shareHiddenClass } from '../../lib/http/hidden-class';
import { serve } from '../support/serve';

setFlagsFromString('--allow-natives-syntax');
const haveSameClass = runInThisContext('(a, b) => %HaveSameMap(a, b)') as (a: object, b: object) => boolean;
const isFast = runInThisContext('(it) => %HasFastProperties(it)') as (it: object) => boolean;

type Arrived = readonly [req: IncomingMessage, res: ServerResponse];

const frameworks: [name: string, app: () => { use(middleware: RequestListener): RequestListener }][] = [
  ['Express 5', () => express()],
  ['Express 4', () => express4()],
];

/** What `look` sees of two requests that are under way at once. The first pairs are still of classes that change. */
async function ofTwoAtOnce<T>(
  appWith: (middleware: RequestListener) => RequestListener,
  look: (...both: [Arrived, Arrived]) => T,
) {
  let first: Arrived | undefined;
  let seen: T | undefined;
  const { url } = await serve(
    appWith((req, res) => {
      const second: Arrived = [req, res];
      if (first === undefined) {
        first = second;
        return;
      }
      seen = look(first, second);
      first[1].end();
      res.end();
      first = undefined;
    }),
  );
  for (let n = 0; n < 20; n++) await Promise.all([fetch(url), fetch(url)]);
  return seen;
}

test.each(frameworks)('behind %s requests have one hidden class, and so have responses', async (_name, app) => {
  const pairs: (readonly [boolean, boolean])[] = [];
  await ofTwoAtOnce(
    (middleware) => app().use(middleware),
    (first, second) => {
      shareHiddenClass(...first);
      shareHiddenClass(...second);
      pairs.push([haveSameClass(first[0], second[0]), haveSameClass(first[1], second[1])]);
    },
  );
  // Now and then V8 forgets a class between two; without the change none have one.
  expect(pairs.filter(([requests, responses]) => requests && responses).length).toBeGreaterThan(5);
});

test.each(frameworks)('behind %s they keep their members', async (_name, app) => {
  const seen = await ofTwoAtOnce(
    (middleware) => app().use(middleware),
    (arrived) =>
      arrived.map((it) => {
        const before = Object.getOwnPropertyDescriptors(it);
        shareHiddenClass(...arrived);
        return [before, Object.getOwnPropertyDescriptors(it)] as const;
      }),
  );
  for (const [before, after] of seen!) {
    expect(Object.keys(after).sort()).toEqual(Object.keys(before).sort());
    for (const name of Object.keys(before)) expect(Object.is(after[name]?.value, before[name]?.value)).toBe(true);
  }
});

test('without a framework they stay as Node made them', async () => {
  const seen = await ofTwoAtOnce(
    (middleware) => middleware,
    (first) => {
      shareHiddenClass(...first);
      return first.map(isFast);
    },
  );
  expect(seen).toEqual([true, true]);
});

test('a member that the application has made read-only or its own stays', async () => {
  const seen = await ofTwoAtOnce(
    (middleware) => express().use(middleware),
    ([req, res]) => {
      Object.defineProperty(req, 'rawTrailers', { get: () => ['a', 'b'] });
      Object.defineProperty(res, 'sendDate', { configurable: false });
      shareHiddenClass(req, res);
      return [req.rawTrailers, res.sendDate];
    },
  );
  expect(seen).toEqual([['a', 'b'], true]);
});

test('a request that takes no more members stays as it is', () => {
  // None that is under way: Node adds members itself.
  const req = Object.preventExtensions(new IncomingMessage(new Socket()));
  const res = Object.setPrototypeOf(
    new ServerResponse(req),
    Object.create(ServerResponse.prototype) as object,
  ) as ServerResponse;
  shareHiddenClass(req, res);
  expect(req.rawTrailers).toEqual([]);
});
