import type { TargetedSubmitEvent } from 'preact';
import { Fragment } from 'preact';
import { useState } from 'preact/hooks';
import type { Meta } from '../api';
import type { TestRequest, TestResult } from '../request-tester';
import { api } from './api';
import { Combobox } from './combobox';
import { testToBegin } from './hand-over';
import { useLists } from './lists';
import { Notice } from './notice';
import type { PanelProps } from './panel-props';
import { Problem } from './problem';
import { Segments } from './segments';
import { useAction } from './use-action';
import { Verdict } from './verdict';

/** What is written into the form, as text. */
interface Given {
  readonly mode: 'call' | 'body';
  readonly method: string;
  readonly params: string;
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly secret: string;
}

type MistakenField = 'method' | 'params' | 'body';

interface Mistake {
  readonly field: MistakenField;
  readonly text: string;
}

const EMPTY: Given = {
  mode: 'call',
  method: 'eth_blockNumber',
  params: '[]',
  body: '',
  headers: {},
  secret: '',
};
const MODES = [
  { value: 'call', label: 'One call' },
  { value: 'body', label: 'Raw body' },
] as const;
const RAW_EXAMPLE = `[
  {"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":[]},
  {"jsonrpc":"2.0","id":2,"method":"eth_blockNumber","params":[]}
]`;

/** What another tab has left to be tested, or a call that reads nothing. */
function begin(): Given {
  const { method = EMPTY.method, ...test } = testToBegin() ?? {};
  return { ...EMPTY, method, ...test };
}

export function TestTab({ settings, meta }: PanelProps) {
  const [given, setGiven] = useState(() => begin());
  const [mistake, setMistake] = useState<Mistake>();
  /** The last answer, with what it was asked of: once that is edited, it is no answer any more. */
  const [tested, setTested] = useState<{ readonly given: Given; readonly verdict: TestResult }>();
  const verdict = tested?.given === given ? tested.verdict : undefined;

  const testing = useAction(async (isSent: boolean) => {
    setTested(undefined);
    setTested({ given, verdict: await api.testRequest(settings.apiKey, requestOf(given, isSent)) });
  });

  function onChange(changed: Given) {
    testing.forget();
    setGiven(changed);
  }

  function run(isSent: boolean) {
    const wrong = mistakeIn(given);
    setMistake(wrong);
    if (wrong) document.getElementById(`test-${wrong.field}`)?.focus();
    else void testing.run(isSent);
  }

  return (
    <div class="test">
      <section class="card" aria-labelledby="test-title">
        <h2 id="test-title">Request</h2>
        <Notice>
          <p>
            The guard decides here as it would for a caller.{' '}
            {meta.canSend
              ? 'Nothing is forwarded unless you press “Send it to the upstream”.'
              : 'Nothing is forwarded.'}
          </p>
        </Notice>
        <RequestForm
          given={given}
          mistake={mistake}
          meta={meta}
          isBusy={testing.isBusy}
          onChange={onChange}
          onRun={run}
        />
      </section>
      <section class="card result" aria-labelledby="verdict-title" aria-live="polite" aria-busy={testing.isBusy}>
        <h2 id="verdict-title">Verdict</h2>
        <Problem error={testing.error} retry={() => run(false)} />
        {verdict && <Verdict verdict={verdict} />}
        {!verdict && !testing.error && (
          <p class="empty">{testing.isBusy ? 'Asking the guard' : 'It appears here, step by step.'}</p>
        )}
      </section>
    </div>
  );
}

interface RequestFormProps {
  readonly given: Given;
  readonly mistake: Mistake | undefined;
  readonly meta: Meta;
  readonly isBusy: boolean;
  readonly onChange: (given: Given) => void;
  readonly onRun: (isSent: boolean) => void;
}

function RequestForm({ given, mistake, meta, isBusy, onChange, onRun }: RequestFormProps) {
  const set = (members: Partial<Given>) => onChange({ ...given, ...members });

  function onSubmit(event: TargetedSubmitEvent<HTMLFormElement>) {
    event.preventDefault();
    onRun(false);
  }

  return (
    <form onSubmit={onSubmit}>
      <Segments
        legend="What to test"
        name="mode"
        options={MODES}
        value={given.mode}
        onChange={(mode) => set({ mode })}
      />
      <WhatToSend given={given} mistake={mistake} meta={meta} set={set} />
      <Headers given={given} set={set} />
      <div class="buttons">
        <button type="submit" aria-busy={isBusy}>
          Test
        </button>
        {meta.canSend && (
          <button type="button" class="quiet" onClick={() => onRun(true)}>
            Send it to the upstream
          </button>
        )}
      </div>
    </form>
  );
}

interface FieldsProps {
  readonly given: Given;
  readonly set: (members: Partial<Given>) => void;
}

interface WhatToSendProps extends FieldsProps {
  readonly mistake: Mistake | undefined;
  readonly meta: Meta;
}

function WhatToSend({ given, mistake, meta, set }: WhatToSendProps) {
  const field = (name: MistakenField) => ({
    id: `test-${name}`,
    value: given[name],
    'aria-invalid': mistake?.field === name ? (true as const) : undefined,
    'aria-describedby': `test-${name}-problem`,
  });
  if (given.mode === 'body') {
    return (
      <>
        <label for="test-body">Body</label>
        <textarea
          {...field('body')}
          class="lines"
          rows={7}
          autocomplete="off"
          spellcheck={false}
          placeholder={RAW_EXAMPLE}
          onInput={(event) => set({ body: event.currentTarget.value })}
        />
        <MistakeIn field="body" mistake={mistake} />
      </>
    );
  }
  return (
    <>
      <label for="test-method">Method</label>
      <Combobox {...field('method')} groups={meta.methodGroups} onInput={(method) => set({ method })} />
      <MistakeIn field="method" mistake={mistake} />
      <label for="test-params">Params, as JSON</label>
      <textarea
        {...field('params')}
        class="lines"
        rows={4}
        autocomplete="off"
        spellcheck={false}
        onInput={(event) => set({ params: event.currentTarget.value })}
      />
      <MistakeIn field="params" mistake={mistake} />
    </>
  );
}

function MistakeIn({ field, mistake }: { readonly field: MistakenField; readonly mistake: Mistake | undefined }) {
  return (
    <p id={`test-${field}-problem`} class="bad below" role="alert">
      {mistake?.field === field && mistake.text}
    </p>
  );
}

/** A field for each header that a type of list reads, and the secret. */
function Headers({ given, set }: FieldsProps) {
  const headers = useLists().flatMap(({ header }) => header ?? []);
  const field = { spellcheck: false, placeholder: 'none is sent' };
  return (
    <>
      {headers.map((name) => (
        <Fragment key={name}>
          <label for={`test-${name}`}>{name}</label>
          <input
            {...field}
            id={`test-${name}`}
            type="text"
            autocomplete="off"
            value={given.headers[name] ?? ''}
            onInput={({ currentTarget }) => set({ headers: { ...given.headers, [name]: currentTarget.value } })}
          />
        </Fragment>
      ))}
      <label for="test-secret">API key secret</label>
      <input
        {...field}
        id="test-secret"
        type="password"
        autocomplete="new-password"
        aria-describedby="test-secret-hint"
        value={given.secret}
        onInput={({ currentTarget }) => set({ secret: currentTarget.value })}
      />
      <p class="hint" id="test-secret-hint">
        Only sent with this test; it is kept nowhere.
      </p>
    </>
  );
}

function mistakeIn({ mode, method, params, body }: Given): Mistake | undefined {
  if (mode === 'body') return body.trim() === '' ? { field: 'body', text: 'Write a body to test.' } : undefined;
  if (method.trim() === '') return { field: 'method', text: 'Choose or write a method.' };
  try {
    if (params.trim() !== '') JSON.parse(params);
  } catch (error) {
    return { field: 'params', text: `Not JSON: ${error instanceof Error ? error.message : ''}` };
  }
  return undefined;
}

// As text, because JavaScript would round big numbers in the params, and the guard reads text too.
function requestOf({ mode, method, params, body, headers, secret }: Given, isSent: boolean): TestRequest {
  const call = `{"jsonrpc":"2.0","id":1,"method":${JSON.stringify(method.trim())},"params":${params.trim() || '[]'}}`;
  return {
    body: mode === 'body' ? body : call,
    headers,
    secret: secret || undefined,
    send: isSent || undefined,
  };
}
