import { sampleRequest } from '../../keys/sample-request';
import type { SampleRequest } from '../../keys/sample-request';
import type { Meta, ShownKey } from '../api';

/** What a caller has to send, and where, so that a key's lists let it pass. */
export interface SnippetFacts extends SampleRequest {
  readonly url: string;
  readonly socketUrl: string;
  readonly secret: string | undefined;
}

/** @param isSecured whether this page came over TLS: the server behind a proxy may not know. */
export function snippetFacts(
  settings: ShownKey,
  meta: Meta,
  secret: string | undefined,
  isSecured: boolean,
): SnippetFacts {
  const address = (url: string) => {
    const seen = isSecured && meta.isUrlGuessed ? url.replace(/^(http|ws):/, '$1s:') : url;
    return seen.replace('YOUR-API-KEY', settings.apiKey);
  };
  const known = meta.methodGroups.flatMap(({ methods }) => methods);
  return {
    ...sampleRequest(settings, secret, known),
    url: address(meta.httpUrl),
    socketUrl: address(meta.wsUrl),
    secret,
  };
}
