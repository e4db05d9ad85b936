import { OPCODE, closeFrame, frame } from '../support/guarded-sockets';
import { FrameScanner } from '../../lib/websocket/frame-scanner';

const { text, binary, continuation, ping } = OPCODE;

/** Frames as clients and upstreams send them, and whether a message ends with each. */
const FRAMES: readonly (readonly [Buffer, boolean])[] = [
  [frame(text, 'a'), true],
  [frame(text, ''), true],
  [frame(binary, 'b'.repeat(125), { masked: false }), true],
  [frame(text, 'c'.repeat(126)), true],
  [frame(text, 'd', { fin: false }), false],
  [frame(continuation, 'e'.repeat(300), { fin: false }), false],
  [frame(ping, 'f'), false],
  [frame(continuation, 'g'), true],
  [frame(ping), true],
  [frame(text, 'h'.repeat(70_000), { masked: false }), true],
  [closeFrame(1000, 'bye'), true],
];
const BYTES = Buffer.concat(FRAMES.map(([bytes]) => bytes));

/** Where frames end, and how many messages have ended by then. */
const ENDS = FRAMES.map(([, isEnd], n) => {
  const before = FRAMES.slice(0, n + 1);
  const at = before.reduce((sum, [bytes]) => sum + bytes.length, 0);
  const isOpen = [4, 5, 6].includes(n);
  return { at, ended: before.filter(([, ends]) => ends).length, isWithin: isOpen && !isEnd };
});

function expectedAt(at: number): { readonly ended: number; readonly isWithin: boolean } {
  const last = ENDS.findLast((end) => end.at <= at) ?? { at: 0, ended: 0, isWithin: false };
  return { ended: last.ended, isWithin: last.isWithin || last.at < at };
}

function scannedTo(...cuts: readonly number[]): { readonly ended: number; readonly isWithin: boolean } {
  const scanner = new FrameScanner();
  let from = 0;
  for (const to of cuts) {
    scanner.read(BYTES.subarray(from, to));
    from = to;
  }
  return { ended: scanner.ended, isWithin: scanner.isWithin };
}

test('messages end where they end, wherever the bytes are cut', () => {
  const ends = ENDS.map(({ at }) => at);
  for (const end of ends) {
    for (let at = Math.max(1, end - 10); at <= Math.min(end + 10, BYTES.length); at++) {
      const whole = ends.filter((before) => before < at);
      for (const cuts of [[at], [...whole, at]]) {
        expect([at, scannedTo(...cuts)]).toEqual([at, expectedAt(at)]);
        expect([at, scannedTo(...cuts, BYTES.length)]).toEqual([at, expectedAt(BYTES.length)]);
      }
    }
  }
  expect(scannedTo(...Array.from(BYTES, (_, n) => n + 1))).toEqual(expectedAt(BYTES.length));
});
