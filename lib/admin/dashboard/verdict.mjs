import { html } from './html.mjs';
import { Check, Cross, Dash } from './icons.mjs';

const STEPS = {
  key: 'API key',
  secret: 'API key secret',
  userAgents: 'User agents',
  origins: 'Origins',
  body: 'Body',
  contractAddresses: 'Contract addresses',
  blockedMethods: 'Methods blocked for every key',
  methods: 'API request methods',
};
const OUTCOMES = {
  pass: { icon: Check, word: 'passes', tone: 'good' },
  refuse: { icon: Cross, word: 'refuses', tone: 'bad' },
  skip: { icon: Dash, word: 'not asked', tone: 'off' },
};

/** What the guard decided and which entry of which step did. */
export function Verdict({ verdict }) {
  const { allowed, reason, status, message, steps, calls, answer } = verdict;
  const isBatch = calls.length > 1;
  const refused = calls.filter((call) => !call.allowed).length;
  const isPart = isBatch && refused > 0 && refused < calls.length;
  const tone = isPart ? 'wait' : allowed ? 'good' : 'bad';
  return html`
    <div class=${`verdict ${tone}`}>
      <${isPart ? Dash : allowed ? Check : Cross} />
      <div>
        <p class="word">${isPart ? 'Allowed in part' : allowed ? 'Allowed' : 'Refused'}</p>
        <p>
          ${reason && html`<code>${reason}</code> · `}
          ${isBatch && refused > 0 && `${refused} of ${calls.length} calls are refused. `}
          ${allowed && refused === 0 ? 'The upstream would receive it.' : `HTTP ${status}${message ? `: ${message}` : ''}`}
        </p>
      </div>
    </div>
    <${Steps} steps=${isBatch || !calls[0] ? steps : [...steps, ...calls[0].steps]} />
    ${
      isBatch &&
      calls.map(
        (call, index) => html`
          <details class="call" key=${index} open=${!call.allowed}>
            <summary>
              <span class=${call.allowed ? 'state good' : 'state bad'}>${call.allowed ? 'allowed' : 'refused'}</span>
              ${' '}<code>${call.method ?? 'not a call'}</code>
              ${call.id !== null && html` <span class="quiet-text">id ${call.id}</span>`}
              ${call.reason && html` <code class="quiet-text">${call.reason}</code>`}
            </summary>
            <${Steps} steps=${call.steps} />
          </details>
        `,
      )
    }
    ${
      answer &&
      html`
        <h3>Answer of the upstream</h3>
        <p class="hint">HTTP ${answer.status}</p>
        <pre tabindex="0" aria-label="Answer of the upstream"><code>${pretty(answer.body)}</code></pre>
      `
    }
  `;
}

function Steps({ steps }) {
  return html`
    <ol class="steps">
      ${steps.map(({ step, outcome, entry, why }, index) => {
        const { icon: Icon, word, tone } = OUTCOMES[outcome];
        return html`
          <li key=${index} class=${tone}>
            <${Icon} />
            <div>
              <p><strong>${STEPS[step] ?? step}</strong> <span class="outcome">${word}</span></p>
              ${(why || entry) && html`<p class="why">${why} ${entry && html`<code>${entry}</code>`}</p>`}
            </div>
          </li>
        `;
      })}
    </ol>
  `;
}

/** Indented, unless that would change it: numbers beyond a double stay as they came. */
function pretty(body) {
  try {
    const value = JSON.parse(body);
    return JSON.stringify(value) === body.replace(/\s+$/, '') ? JSON.stringify(value, null, 2) : body;
  } catch {
    return body;
  }
}
