import type { RequestHandler } from 'express';
import { ApiError, invalidRequest } from './api-error';

const NOT_A_NAME = /^(?:(?:.*\.)?localhost|[0-9.]+|\[.*\])$/;

export interface OwnHostOptions {
  readonly publicUrl: string | undefined;
  readonly hosts: readonly string[];
}

/** The name in a Host header, without its port; `undefined` where it is none. */
function hostName(host: string): string | undefined {
  const url = `http://${host}`;
  return host === '' || /[/\\?#@\s]/.test(host) || !URL.canParse(url) ? undefined : new URL(url).hostname;
}

/**
 * Refuses a request to a host that is none, and with `publicUrl` one to another name: a website can let its own name lead
 * here, and its pages would then be the dashboard's own. No website has the name `localhost` or an IP address.
 */
export function ownHostOnly({ publicUrl, hosts }: OwnHostOptions): RequestHandler {
  const own = publicUrl === undefined ? undefined : [new URL(publicUrl).hostname, ...hosts.map(hostName)];
  return (req, _res, next) => {
    const name = hostName(req.headers.host ?? '');
    if (name === undefined) next(invalidRequest('the Host header is not a host name'));
    else if (own === undefined || own.includes(name) || NOT_A_NAME.test(name)) next();
    else next(new ApiError(421, 'UNKNOWN_HOST', unknownHost(name, own[0]!)));
  };
}

function unknownHost(name: string, own: string): string {
  return (
    `the dashboard is not at ${name}: publicUrl of rpcGuardAdmin says ${own}. If ${name} is yours, add it to hosts of ` +
    'rpcGuardAdmin; a proxy in front can pass the Host header on instead'
  );
}

/** Whether a text can be one of `hosts`. */
export function isHost(value: unknown): boolean {
  return typeof value === 'string' && hostName(value) !== undefined;
}
