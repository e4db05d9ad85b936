import { composeObservers } from '../../lib/observe/compose-observers';
import { Occurrence } from '../../lib/observe/request-event';
import type { RequestFacts } from '../../lib/request/request-facts';
import { recordingLogger } from '../support/pieces';

const occurrence = new Occurrence({ apiKey: 'first-key' } as RequestFacts, 'http', 0);

function failing(message: string) {
  return () => {
    throw new Error(message);
  };
}

test('each observer that throws is logged once, and the others are called', () => {
  const logger = recordingLogger();
  const last = jest.fn();
  const observe = composeObservers([failing('of the first'), failing('of the second'), last], logger);
  for (let n = 0; n < 3; n++) observe(occurrence);
  expect(logger.lines.map(({ text }) => /of the \w+/.exec(text)?.[0])).toEqual(['of the first', 'of the second']);
  expect(last).toHaveBeenCalledTimes(3);
});
