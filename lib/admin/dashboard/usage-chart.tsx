import type { UsagePoint, UsageReport } from '../../keys/usage-report';
import { number } from './words';

const WIDTH = 720;
const HEIGHT = 180;
/** From the bottom of a bar. Each has a texture of its own, so that it is told apart without colours. */
const PARTS = [
  { member: 'allowed', label: 'allowed' },
  { member: 'wouldRefuse', label: 'would be refused' },
  { member: 'refused', label: 'refused' },
] as const;
const SHORT = {
  hour: new Intl.DateTimeFormat(undefined, { weekday: 'short', hour: '2-digit', minute: '2-digit' }),
  // A day is one of UTC: elsewhere it would be called after the day before.
  day: new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short', timeZone: 'UTC' }),
};
const ROW = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short', hour: '2-digit' });

/** Bars of calls, an hour or a day each, with the same as a table behind them. */
export function UsageChart({ points, step }: Pick<UsageReport, 'points' | 'step'>) {
  const most = Math.max(1, ...points.map(callsOf));
  const all = points.reduce((sum, point) => sum + callsOf(point), 0);
  const first = points[0];
  const middle = points[Math.floor(points.length / 2)];
  const last = points.at(-1);
  if (!first || !middle || !last) return null;
  const shown = PARTS.filter(({ member }) => points.some((point) => point[member] > 0));
  return (
    <figure class="chart">
      <p class="hint">
        Calls each {step}, {number(most)} at most
      </p>
      <svg
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={`Calls each ${step}: ${number(all)} in all. The table below has the same numbers.`}
      >
        <Textures />
        {points.map((point, at) => (
          <Bar key={point.at} point={point} at={at} width={WIDTH / points.length} most={most} step={step} />
        ))}
      </svg>
      <p class="axis" aria-hidden="true">
        {[first, ...(points.length > 2 ? [middle] : []), ...(points.length > 1 ? [last] : [])].map(({ at }) => (
          <span key={at} title={at}>
            {SHORT[step].format(new Date(at))}
          </span>
        ))}
      </p>
      <ul class="legend">
        {shown.map(({ member, label }) => (
          <li key={member}>
            <svg viewBox="0 0 16 16" aria-hidden="true">
              <rect class={member} width="16" height="16" />
            </svg>
            {label}
          </li>
        ))}
      </ul>
      <details>
        <summary>As a table</summary>
        <PointTable points={points} step={step} />
      </details>
    </figure>
  );
}

function Textures() {
  return (
    <defs>
      <pattern id="hatched" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
        <rect class="ground" width="6" height="6" />
        <rect class="lines-of" width="3" height="6" />
      </pattern>
      <pattern id="dotted" width="6" height="6" patternUnits="userSpaceOnUse">
        <rect class="ground" width="6" height="6" />
        <circle class="dots-of" cx="3" cy="3" r="1.6" />
      </pattern>
    </defs>
  );
}

interface BarProps extends Pick<UsageReport, 'step'> {
  readonly point: UsagePoint;
  readonly at: number;
  readonly width: number;
  readonly most: number;
}

function Bar({ point, at, width, most, step }: BarProps) {
  let top = HEIGHT;
  const gap = Math.min(2, width * 0.15);
  return (
    <g>
      <title>{`${SHORT[step].format(new Date(point.at))} (${point.at}): ${wordsOf(point)}`}</title>
      <rect class="target" x={at * width} y={0} width={width} height={HEIGHT} />
      {PARTS.filter(({ member }) => point[member] > 0).map(({ member }) => {
        // What there is little of is to be seen all the same.
        const height = Math.max(2, (point[member] / most) * HEIGHT);
        top -= height;
        return (
          <rect key={member} class={member} x={at * width + gap / 2} y={top} width={width - gap} height={height} />
        );
      })}
    </g>
  );
}

function PointTable({ points, step }: Pick<UsageReport, 'points' | 'step'>) {
  return (
    <div class="wide">
      <table class="numbers">
        <thead>
          <tr>
            <th scope="col">{step === 'hour' ? 'Hour' : 'Day (UTC)'}</th>
            <th scope="col">Allowed</th>
            <th scope="col" class="less">
              Would be refused
            </th>
            <th scope="col">Refused</th>
            <th scope="col">95 % within</th>
          </tr>
        </thead>
        <tbody>
          {[...points].reverse().map((point) => (
            <tr key={point.at}>
              <th scope="row" title={point.at}>
                {step === 'hour' ? ROW.format(new Date(point.at)) : point.at.slice(0, 10)}
              </th>
              <td>{number(point.allowed)}</td>
              <td class="less">{number(point.wouldRefuse)}</td>
              <td>{number(point.refused)}</td>
              <td>{point.p95 === undefined ? '' : `${number(Math.round(point.p95))} ms`}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function callsOf({ allowed, refused, wouldRefuse }: UsagePoint): number {
  return allowed + refused + wouldRefuse;
}

function wordsOf(point: UsagePoint): string {
  return PARTS.map(({ member, label }) => `${number(point[member])} ${label}`).join(', ');
}
