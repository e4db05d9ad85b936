import { useState } from 'preact/hooks';
import { api } from './api.mjs';
import { Combobox } from './combobox.mjs';
import { html } from './html.mjs';
import { Notice } from './notice.mjs';
import { Problem } from './problem.mjs';
import { useAction } from './use-action.mjs';
import { Verdict } from './verdict.mjs';

const EMPTY = {
  mode: 'call',
  method: 'eth_blockNumber',
  params: '[]',
  body: '',
  origin: '',
  userAgent: '',
  secret: '',
};
const RAW_EXAMPLE = `[
  {"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":[]},
  {"jsonrpc":"2.0","id":2,"method":"eth_blockNumber","params":[]}
]`;

export function TestTab({ settings, meta }) {
  const [given, setGiven] = useState(EMPTY);
  const [mistake, setMistake] = useState();
  const [verdict, setVerdict] = useState();
  const set = (members) => setGiven((before) => ({ ...before, ...members }));
  const field = (name) => ({
    id: `test-${name}`,
    value: given[name],
    autocomplete: 'off',
    spellcheck: false,
    onInput: (event) => set({ [name]: event.currentTarget.value }),
  });

  const testing = useAction(async (send) => {
    setVerdict(undefined);
    setVerdict(await api.testRequest(settings.apiKey, requestOf(given, send)));
  });

  function run(send) {
    const wrong = mistakeIn(given);
    setMistake(wrong);
    if (wrong) document.getElementById(`test-${wrong.field}`).focus();
    else testing.run(send);
  }

  function onSubmit(event) {
    event.preventDefault();
    run(false);
  }

  const problemOf = (name) => ({
    'aria-invalid': mistake?.field === name ? 'true' : undefined,
    'aria-describedby': `test-${name}-problem`,
  });
  const mistakeOf = (name) => html`
    <p id=${`test-${name}-problem`} class="bad below" role="alert">${mistake?.field === name && mistake.text}</p>
  `;

  return html`
    <div class="test">
      <section class="card" aria-labelledby="test-title">
        <h2 id="test-title">Request</h2>
        <${Notice}>
          <p>
            The guard decides here as it would for a caller.
            ${meta.canSend ? ' Nothing is forwarded unless you press “Send it to the upstream”.' : ' Nothing is forwarded.'}
          </p>
        <//>
        <form onSubmit=${onSubmit}>
          <fieldset class="segments">
            <legend class="sr-only">What to test</legend>
            <${Mode} value="call" label="One call" given=${given} set=${set} />
            <${Mode} value="body" label="Raw body" given=${given} set=${set} />
          </fieldset>
          ${
            given.mode === 'call'
              ? html`
                  <label for="test-method">Method</label>
                  <${Combobox}
                    id="test-method"
                    value=${given.method}
                    groups=${meta.methodGroups}
                    ...${problemOf('method')}
                    onInput=${(method) => set({ method })}
                  />
                  ${mistakeOf('method')}
                  <label for="test-params">Params, as JSON</label>
                  <textarea ...${field('params')} ...${problemOf('params')} class="lines" rows="4"></textarea>
                  ${mistakeOf('params')}
                `
              : html`
                  <label for="test-body">Body</label>
                  <textarea
                    ...${field('body')}
                    ...${problemOf('body')}
                    class="lines"
                    rows="7"
                    placeholder=${RAW_EXAMPLE}
                  ></textarea>
                  ${mistakeOf('body')}
                `
          }
          <label for="test-origin">Origin</label>
          <input ...${field('origin')} type="text" placeholder="none is sent" />
          <label for="test-userAgent">User-Agent</label>
          <input ...${field('userAgent')} type="text" placeholder="none is sent" />
          <label for="test-secret">API key secret</label>
          <input
            ...${field('secret')}
            type="password"
            autocomplete="new-password"
            placeholder="none is sent"
            aria-describedby="test-secret-hint"
          />
          <p class="hint" id="test-secret-hint">Only sent with this test; it is kept nowhere.</p>
          <div class="buttons">
            <button type="submit" aria-busy=${testing.isBusy}>Test</button>
            ${
              meta.canSend &&
              html`<button type="button" class="quiet" onClick=${() => run(true)}>Send it to the upstream</button>`
            }
          </div>
        </form>
      </section>
      <section class="card result" aria-labelledby="verdict-title" aria-live="polite" aria-busy=${testing.isBusy}>
        <h2 id="verdict-title">Verdict</h2>
        <${Problem} error=${testing.error} retry=${() => run(false)} />
        ${
          verdict
            ? html`<${Verdict} verdict=${verdict} />`
            : !testing.error &&
              html`<p class="empty">${testing.isBusy ? 'Asking the guard' : 'It appears here, step by step.'}</p>`
        }
      </section>
    </div>
  `;
}

function Mode({ value, label, given, set }) {
  return html`
    <label>
      <input
        type="radio"
        name="mode"
        value=${value}
        checked=${given.mode === value}
        onChange=${() => set({ mode: value })}
      />
      <span>${label}</span>
    </label>
  `;
}

function mistakeIn({ mode, method, params, body }) {
  if (mode === 'body') return body.trim() === '' ? { field: 'body', text: 'Write a body to test.' } : undefined;
  if (method.trim() === '') return { field: 'method', text: 'Choose or write a method.' };
  try {
    if (params.trim() !== '') JSON.parse(params);
  } catch (error) {
    return { field: 'params', text: `Not JSON: ${error.message}` };
  }
  return undefined;
}

// As text, because JavaScript would round big numbers in the params, and the guard reads text too.
function requestOf({ mode, method, params, body, origin, userAgent, secret }, send) {
  const call = `{"jsonrpc":"2.0","id":1,"method":${JSON.stringify(method.trim())},"params":${params.trim() || '[]'}}`;
  return {
    body: mode === 'body' ? body : call,
    origin: origin || undefined,
    userAgent: userAgent || undefined,
    secret: secret || undefined,
    send: send || undefined,
  };
}
