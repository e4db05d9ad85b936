import { availableParallelism } from 'node:os';

export default {
  testEnvironment: '<rootDir>/__tests__/support/environment.mjs',
  roots: ['<rootDir>/__tests__', '<rootDir>/lib'],
  testMatch: ['<rootDir>/__tests__/**/*.test.ts'],
  transform: { '\\.ts$': '<rootDir>/__tests__/support/transform.cjs' },
  testTimeout: 30_000,
  testSequencer: '<rootDir>/__tests__/support/sequencer.cjs',
  // Many suites wait: for a server to come back, for a change to arrive. Jest takes no more than 100%.
  maxWorkers: Math.ceil(availableParallelism() * 1.5),
  collectCoverageFrom: ['lib/**/*.ts'],
  coverageProvider: 'v8',
};
