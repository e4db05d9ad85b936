import { post as postLoosely } from './guarded-app';
import type { Answer } from './guarded-app';

/** The members of a JSON-RPC response that tests look into one by one; everything else is compared as a whole. */
export interface Reply {
  readonly id: unknown;
  readonly result: unknown;
  readonly error: {
    readonly code: number;
    readonly message: string;
    readonly data: { readonly reason?: string; readonly requestId: string };
  };
}

/** `post`, with an answer whose members are typed. */
export const post: (
  ...given: Parameters<typeof postLoosely>
) => Promise<Omit<Answer, 'json'> & { readonly json: Reply }> = postLoosely;
