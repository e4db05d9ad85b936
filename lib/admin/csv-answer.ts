import type { Request } from 'express';
import { invalidRequest } from './api-error';

/** A table to download, in place of JSON. */
export class CsvAnswer {
  constructor(
    readonly text: string,
    readonly fileName: string,
  ) {}
}

/** A file to download that is made while it is sent: it may be longer than memory. */
export class PartsAnswer {
  constructor(
    readonly parts: AsyncIterable<string>,
    readonly fileName: string,
    readonly type: string,
  ) {}
}

/** Whether `?format=csv`, or what the caller accepts, asks for CSV. */
export function wantsCsv(req: Request): boolean {
  const { format } = req.query;
  if (format !== undefined && format !== 'csv' && format !== 'json')
    throw invalidRequest('format: it takes csv or json');
  if (format !== undefined) return format === 'csv';
  return req.accepts(['application/json', 'text/csv']) === 'text/csv';
}
