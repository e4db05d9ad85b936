import { pipeline } from 'node:stream/promises';
import type { Request, RequestHandler, Response } from 'express';
import { ALLOWLIST_TYPES } from '../allowlists';
import type { AllowlistType } from '../settings/key-settings';
import { ApiError, invalidRequest } from './api-error';
import { CsvAnswer, PartsAnswer } from './csv-answer';

const MAX_TEXTS = 200;

/** A handler that answers with what `work` returns, as JSON or CSV. A rejection goes to the error handler on Express 4 too. */
export function answer(status: number, work: (req: Request) => unknown): RequestHandler {
  return (req, res, next) => {
    Promise.resolve(req)
      .then(work)
      .then((result) => {
        res.status(status);
        if (status === 204) res.end();
        else if (result instanceof PartsAnswer) return send(result, req, res);
        else if (result instanceof CsvAnswer) res.attachment(result.fileName).send(result.text);
        else res.json(result);
        return undefined;
      })
      .catch(next);
  };
}

async function send({ parts, fileName, type }: PartsAnswer, req: Request, res: Response): Promise<void> {
  res.attachment(fileName).setHeader('Content-Type', type);
  if (req.method === 'HEAD') {
    res.end();
    return;
  }
  try {
    await pipeline(parts, res);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_STREAM_PREMATURE_CLOSE') throw error; // the caller has gone
  }
}

/** A form can be posted by any website, JSON cannot: a browser asks first. */
export const jsonOnly: RequestHandler = (req, _res, next) => {
  const isRead = ['GET', 'HEAD', 'DELETE'].includes(req.method);
  if (isRead || req.is('application/json') === 'application/json') next();
  else next(new ApiError(415, 'NOT_JSON', 'send Content-Type: application/json'));
};

/** The body, an object, with these members alone. Without `members` they are checked by who uses it. */
export function body(req: Request, members?: readonly string[]): object {
  const value: unknown = req.body;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalidRequest('the body must be a JSON object');
  }
  if (members !== undefined && Object.keys(value).some((name) => !members.includes(name))) {
    throw invalidRequest(`the body may only have ${members.join(', ')}`);
  }
  return value;
}

/** The parameters of the query that are single texts; an empty one counts as none. */
export function query(req: Request): Readonly<Record<string, string | undefined>> {
  const single = Object.entries(req.query).filter(([, value]) => typeof value === 'string' && value !== '');
  return Object.fromEntries(single) as Record<string, string>;
}

export function param(req: Request, name: string): string {
  const value = req.params[name];
  return typeof value === 'string' ? value : '';
}

export function apiKeyOf(req: Request): string {
  return param(req, 'apiKey');
}

export function typeOf(req: Request): AllowlistType {
  const type = ALLOWLIST_TYPES.find((each) => each === param(req, 'type'));
  if (type === undefined) {
    throw new ApiError(404, 'LIST_UNKNOWN', `there is no such list; use one of ${ALLOWLIST_TYPES.join(', ')}`);
  }
  return type;
}

export function texts(value: unknown, name: string): readonly string[] {
  if (Array.isArray(value) && value.length <= MAX_TEXTS && value.every((each) => typeof each === 'string'))
    return value;
  throw invalidRequest(`${name}: it takes an array of up to ${String(MAX_TEXTS)} strings`);
}
