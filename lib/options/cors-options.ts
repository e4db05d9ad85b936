import { isPlainObject } from '../option-rules';
import type { OptionRule } from '../option-rules';

type AllowedOrigin = boolean | string | RegExp | (boolean | string | RegExp)[];

/** What the `cors` package takes. */
export interface CorsOptions {
  origin?:
    | AllowedOrigin
    | ((requestOrigin: string | undefined, done: (error: Error | null, origin?: AllowedOrigin) => void) => void)
    | undefined;
  methods?: string | string[] | undefined;
  allowedHeaders?: string | string[] | undefined;
  exposedHeaders?: string | string[] | undefined;
  credentials?: boolean | undefined;
  /** Seconds. */
  maxAge?: number | undefined;
  preflightContinue?: boolean | undefined;
  optionsSuccessStatus?: number | undefined;
}

const MEMBERS: Readonly<Record<keyof CorsOptions, true>> = {
  origin: true,
  methods: true,
  allowedHeaders: true,
  exposedHeaders: true,
  credentials: true,
  maxAge: true,
  preflightContinue: true,
  optionsSuccessStatus: true,
};

export const CORS_RULE: OptionRule = {
  accepts: (value) =>
    typeof value === 'boolean' ||
    (isPlainObject(value) && Object.keys(value).every((name) => Object.hasOwn(MEMBERS, name))),
  takes: 'true, false or options of the cors package, such as { origin: "https://app.example.com" }',
  default: true,
};
