import type { DryRunCall, DryRunStep } from '../../explain/dry-run';
import type { TestResult } from '../request-tester';
import { Check, Cross, Dash, Warning } from './icons';
import { useLists } from './lists';

const STEPS: Readonly<Record<string, string>> = {
  key: 'API key',
  secret: 'API key secret',
  body: 'Body',
  blockedMethods: 'Methods blocked for every key',
  limits: 'Limits',
};
const OUTCOMES = {
  pass: { Icon: Check, word: 'passes', tone: 'good' },
  refuse: { Icon: Cross, word: 'refuses', tone: 'bad' },
  skip: { Icon: Dash, word: 'not asked', tone: 'off' },
  'would refuse': { Icon: Warning, word: 'would refuse, and only reports', tone: 'wait' },
};

/** What the guard decided and which entry of which step did. */
export function Verdict({ verdict }: { readonly verdict: TestResult }) {
  const { steps, calls, limits, answer } = verdict;
  const ofLimits = limits === null ? [] : [limits];
  const [only] = calls.length === 1 ? calls : [];
  return (
    <>
      <Summary verdict={verdict} />
      <Steps steps={only === undefined ? steps : [...steps, ...only.steps, ...ofLimits]} />
      {calls.length > 1 && calls.map((call, index) => <Call key={index} call={call} />)}
      {calls.length > 1 && <Steps steps={ofLimits} />}
      {answer && (
        <>
          <h3>Answer of the upstream</h3>
          <p class="hint">HTTP {answer.status}</p>
          <pre tabindex={0} aria-label="Answer of the upstream">
            <code>{pretty(answer.body)}</code>
          </pre>
        </>
      )}
    </>
  );
}

function Summary({
  verdict: { allowed, reason, wouldRefuse, status, message, calls },
}: {
  readonly verdict: TestResult;
}) {
  const refused = calls.filter((call) => !call.allowed).length;
  const isBatch = calls.length > 1;
  const isPart = isBatch && refused > 0 && refused < calls.length;
  const whole = allowed
    ? { Icon: Check, word: 'Allowed', tone: 'good' }
    : { Icon: Cross, word: 'Refused', tone: 'bad' };
  const { Icon, word, tone } = isPart ? { Icon: Dash, word: 'Allowed in part', tone: 'wait' } : whole;
  return (
    <div class={`verdict ${tone}`}>
      <Icon />
      <div>
        <p class="word">{word}</p>
        <p>
          {reason && (
            <>
              <code>{reason}</code> ·{' '}
            </>
          )}
          {isBatch && refused > 0 && `${refused} of ${calls.length} calls are refused. `}
          {allowed && refused === 0
            ? 'The upstream would receive it.'
            : `HTTP ${status}${message ? `: ${message}` : ''}`}
        </p>
        {wouldRefuse && (
          <p>
            Would be refused with <code>{wouldRefuse}</code>, were it not for lists that only report.
          </p>
        )}
      </div>
    </div>
  );
}

function Call({ call: { method, id, allowed, reason, steps } }: { readonly call: DryRunCall }) {
  return (
    <details class="call" open={!allowed}>
      <summary>
        <span class={allowed ? 'state good' : 'state bad'}>{allowed ? 'allowed' : 'refused'}</span>{' '}
        <code>{method ?? 'not a call'}</code>
        {id !== null && <span class="quiet-text"> id {id}</span>} {reason && <code class="quiet-text">{reason}</code>}
      </summary>
      <Steps steps={steps} />
    </details>
  );
}

function Steps({ steps }: { readonly steps: readonly DryRunStep[] }) {
  const lists = useLists();
  const titleOf = (step: string) => STEPS[step] ?? lists.find(({ type }) => type === step)?.title ?? step;
  return (
    <ol class="steps">
      {steps.map(({ step, outcome, entry, why }, index) => {
        const { Icon, word, tone } = OUTCOMES[outcome];
        return (
          <li key={index} class={tone}>
            <Icon />
            <div>
              <p>
                <strong>{titleOf(step)}</strong> <span class="outcome">{word}</span>
              </p>
              {(why || entry) && (
                <p class="why">
                  {why} {entry && <code>{entry}</code>}
                </p>
              )}
            </div>
          </li>
        );
      })}
    </ol>
  );
}

/** Indented, unless that would change it: numbers beyond a double stay as they came. */
function pretty(body: string): string {
  try {
    const value: unknown = JSON.parse(body);
    return JSON.stringify(value) === body.replace(/\s+$/, '') ? JSON.stringify(value, null, 2) : body;
  } catch {
    return body;
  }
}
