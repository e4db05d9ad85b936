import { readFileSync } from 'node:fs';
import { ALLOWLISTS, ALLOWLIST_TYPES } from '../allowlists';

interface Description {
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}

interface Schema {
  readonly enum?: readonly string[];
  readonly properties?: Record<string, Schema>;
  readonly items?: Schema;
}

/** The description in `file`, with the types of lists that the registry has. */
export function describeApi(file: string): object {
  const description = JSON.parse(readFileSync(file, 'utf8')) as Description;
  const { AllowlistType, Allowlists, Key, Step } = description.components.schemas;
  assign(AllowlistType, ALLOWLIST_TYPES);
  const { contractAddresses } = Allowlists?.properties ?? {};
  Object.assign(Allowlists ?? {}, {
    properties: Object.fromEntries(ALLOWLIST_TYPES.map((type) => [type, contractAddresses])),
  });
  assign(Key?.properties?.['warnings']?.items?.properties?.['at'], [
    ...ALLOWLIST_TYPES,
    'secrets',
    'settings',
    'limits',
  ]);
  assign(Step?.properties?.['step'], stepNames());
  return description;
}

function assign(schema: Schema | undefined, values: readonly string[]): void {
  Object.assign(schema ?? {}, { enum: values });
}

function stepNames(): readonly string[] {
  const ofPhase = (phase: string) => ALLOWLIST_TYPES.filter((type) => ALLOWLISTS[type].phase === phase);
  const ofCall = ofPhase('call').flatMap((type) => (type === 'methods' ? ['blockedMethods', type] : [type]));
  return ['key', 'secret', ...ofPhase('request'), 'body', ...ofCall, 'limits'];
}
