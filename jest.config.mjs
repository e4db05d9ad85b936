export default {
  testEnvironment: '<rootDir>/__tests__/support/environment.mjs',
  testMatch: ['<rootDir>/__tests__/**/*.test.ts'],
  transform: { '\\.ts$': ['ts-jest', { tsconfig: 'tsconfig.json', diagnostics: false }] },
  testTimeout: 30_000,
  maxWorkers: '100%',
  collectCoverageFrom: ['lib/**/*.ts'],
  coverageProvider: 'v8',
};
