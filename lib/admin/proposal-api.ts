import type { Request } from 'express';
import type { KeyManager } from '../keys/key-manager';
import type { Proposal } from '../keys/proposal';
import type { AcceptedProposal } from '../keys/propose-options';
import { invalidRequest } from './api-error';
import { apiKeyOf, body, query } from './requests';

/** `GET /keys/:apiKey/proposal` */
export interface ProposalAnswer {
  readonly proposal: Proposal;
}

/** `POST /keys/:apiKey/proposal` */
export interface ApplyProposal extends AcceptedProposal {
  /** The version of the key that was read. */
  readonly expectedVersion: number;
}

export async function getProposal(
  { manager }: { readonly manager: KeyManager },
  req: Request,
): Promise<ProposalAnswer> {
  const { since, minimumShare, secretId } = query(req);
  const share = minimumShare === undefined ? undefined : Number(minimumShare);
  return { proposal: await manager.propose(apiKeyOf(req), { since, minimumShare: share, secretId }) };
}

/** What a request to apply a proposal holds. Its lists, which the manager checks, need not be those of the proposal. */
export function appliedProposal(req: Request): ApplyProposal {
  const given = body(req, ['lists', 'reportOnly', 'secretId', 'expectedVersion']) as ApplyProposal;
  if (!Number.isInteger(given.expectedVersion)) {
    throw invalidRequest('expectedVersion: it takes the version of the key that was read');
  }
  return given;
}
