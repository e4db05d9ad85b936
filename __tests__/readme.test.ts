import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import ts from 'typescript';
import { parseCurlLine } from '../lib/cli/parse-curl';
import { REFUSALS } from '../lib/policy/refusals';
import type { KeySettingsInput } from '../lib';
import { guardedApp } from './support/guarded-app';

const ROOT = join(__dirname, '..');

interface Manifest {
  readonly files: readonly string[];
  readonly exports: Readonly<Record<string, string | { readonly require: { readonly types: string } }>>;
}

interface Snippet {
  readonly document: string;
  readonly line: number;
  readonly language: string;
  readonly code: string;
}

const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Manifest;
/** What npm adds by itself. */
const SHIPPED = [...manifest.files, 'README.md', 'LICENSE', 'package.json'];
const DOCUMENTS = [
  ...readdirSync(ROOT).filter((name) => name.endsWith('.md')),
  ...readdirSync(join(ROOT, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];
const texts = new Map(DOCUMENTS.map((name) => [name, readFileSync(join(ROOT, name), 'utf8')]));
const snippets = DOCUMENTS.flatMap(snippetsOf);

function snippetsOf(document: string): readonly Snippet[] {
  const text = texts.get(document) ?? '';
  return [...text.matchAll(/^```(\w+)\n(.*?)^```$/gms)].map(({ 1: language = '', 2: code = '', index }) => ({
    document,
    line: text.slice(0, index).split('\n').length,
    language,
    code,
  }));
}

describe('snippets', () => {
  const scripts = snippets.filter(({ language }) => language === 'js' || language === 'ts');

  test('are found', () => {
    expect(scripts.length).toBeGreaterThan(10);
  });

  test('that import something compile in strict TypeScript; the others parse', () => {
    const whole = scripts.filter(({ code }) => /^import /m.test(code));
    const fragments = scripts.filter((snippet) => !whole.includes(snippet));
    expect([...problemsOf(whole), ...fragments.flatMap(syntaxProblems)]).toEqual([]);
  });

  test.each(snippets.filter(({ language }) => language === 'json').map((snippet) => [at(snippet), snippet.code]))(
    'in JSON parse: %s',
    (_at, code) => {
      expect(() => JSON.parse(code) as unknown).not.toThrow();
    },
  );
});

test("the README's curl is allowed by the README's settings", async () => {
  const readme = snippets.filter(({ document }) => document === 'README.md');
  const settings = readme.find(({ language, code }) => language === 'json' && code.includes('"keys"'));
  const line = readme.find(({ code }) => code.startsWith('curl '));
  const { keys } = JSON.parse(settings?.code ?? '') as { keys: readonly KeySettingsInput[] };
  const request = parseCurlLine(line?.code ?? '', { readFile: () => Buffer.alloc(0) });
  const app = await guardedApp({ keys });
  const { status } = await fetch(`${app.url}${request.path}`, {
    method: request.method,
    headers: request.headers.map(([name, value]): [string, string] => [name, value]),
    body: request.body?.toString() ?? '',
  });
  expect([status, app.upstream.seen.length]).toEqual([200, 1]);
});

describe('links', () => {
  test.each(DOCUMENTS)('of %s lead to files and headings that are there', (document) => {
    expect(linksOf(document).filter(({ path, anchor }) => !leads(path, anchor))).toEqual([]);
  });

  test.each(DOCUMENTS.filter(isShipped))('of %s lead to what the package holds', (document) => {
    expect(linksOf(document).filter(({ path }) => !isShipped(path))).toEqual([]);
  });

  test('of docs/README.md name every document', () => {
    const named = new Set(linksOf('docs/README.md').map(({ path }) => path));
    expect(DOCUMENTS.filter((name) => name.startsWith('docs/') && !named.has(name))).toEqual(['docs/README.md']);
  });
});

test('paths of tests that the documents name are there', () => {
  const named = [...texts.values()].flatMap((text) => text.match(/(?<=`)__tests__\/[^`]+(?=`)/g) ?? []);
  expect(named.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
});

test('names of functions, types and constants in ARCHITECTURE.md are in lib/', () => {
  const code = sourcesOf(join(ROOT, 'lib'))
    .map((path) => readFileSync(path, 'utf8'))
    .join('\n');
  const words = new Set(code.match(/\w+/g));
  // In the text between backticks, in the drawing of the route behind its lines.
  const name = /(?<=`)\w+(?:\.\w+)?(?=[`(])|(?<=[├└]─ )\w+(?:\.\w+)?/g;
  const named = (texts.get('ARCHITECTURE.md') ?? '').match(name) ?? [];
  const names = named.flatMap((name) => name.split('.')).filter((name) => /[a-z][A-Z]|[A-Z][a-z]|_/.test(name));
  expect(names.length).toBeGreaterThan(30);
  expect(names.filter((name) => !words.has(name))).toEqual([]);
});

describe('docs/troubleshooting.md', () => {
  const headings = new Set(headingsOf('docs/troubleshooting.md'));

  test('has every reason of a refusal', () => {
    expect(Object.keys(REFUSALS).filter((reason) => !headings.has(reason.toLowerCase()))).toEqual([]);
  });

  test('has every code of an error', () => {
    const codes = sourcesOf(join(ROOT, 'lib')).flatMap(
      (path) => readFileSync(path, 'utf8').match(/\bERR_RPC_GUARD_[A-Z_]+[A-Z]\b/g) ?? [],
    );
    expect(codes.length).toBeGreaterThan(20);
    expect([...new Set(codes)].filter((code) => !headings.has(code.toLowerCase()))).toEqual([]);
  });
});

test('the README has at most 250 lines', () => {
  expect((texts.get('README.md') ?? '').split('\n').length).toBeLessThanOrEqual(251);
});

function at({ document, line }: Snippet): string {
  return `${document}:${line}`;
}

/** Type-checks all snippets in one program, as ES modules of a strict project that has rpc-guard installed. */
function problemsOf(scripts: readonly Snippet[]): readonly string[] {
  const files = new Map(scripts.map((snippet, index) => [join(ROOT, `snippet-${index}.mts`), snippet]));
  const options: ts.CompilerOptions = {
    target: ts.ScriptTarget.ES2023,
    module: ts.ModuleKind.Node20,
    moduleResolution: ts.ModuleResolutionKind.Node16,
    strict: true,
    noUncheckedIndexedAccess: true,
    exactOptionalPropertyTypes: true,
    esModuleInterop: true,
    skipLibCheck: true,
    noEmit: true,
    types: ['node'],
    paths: packagePaths(),
  };
  const host = ts.createCompilerHost(options);
  const onDisk = { ...host };
  host.fileExists = (path) => files.has(path) || onDisk.fileExists(path);
  host.readFile = (path) => files.get(path)?.code ?? onDisk.readFile(path);
  host.getSourceFile = (path, ...rest) => {
    const snippet = files.get(path);
    if (snippet === undefined) return onDisk.getSourceFile(path, ...rest);
    return ts.createSourceFile(path, snippet.code, {
      languageVersion: ts.ScriptTarget.ES2023,
      impliedNodeFormat: ts.ModuleKind.ESNext,
    });
  };
  const program = ts.createProgram([...files.keys()], options, host);
  return [...files].flatMap(([path, snippet]) => {
    const source = program.getSourceFile(path);
    const found = [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)];
    return found.map(({ messageText }) => `${at(snippet)}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`);
  });
}

/** `rpc-guard` and its entries, as `exports` names them, in `lib/` instead of `dist/`. */
function packagePaths(): Record<string, string[]> {
  const entries = Object.entries(manifest.exports).flatMap(([name, entry]) =>
    typeof entry === 'string' ? [] : [[name, entry.require.types] as const],
  );
  return Object.fromEntries(
    entries.map(([name, types]) => [
      name.replace(/^\./, 'rpc-guard'),
      [join(ROOT, types.replace('/dist/', '/lib/').replace(/\.d\.ts$/, '.ts'))],
    ]),
  );
}

function syntaxProblems(snippet: Snippet): readonly string[] {
  const { diagnostics = [] } = ts.transpileModule(snippet.code, { reportDiagnostics: true, fileName: 'snippet.mts' });
  return diagnostics.map(({ messageText }) => `${at(snippet)}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`);
}

interface Link {
  readonly path: string;
  readonly anchor: string | undefined;
}

/** Links within the repository, from its root. */
function linksOf(document: string): readonly Link[] {
  const prose = (texts.get(document) ?? '').replace(/^```.*?^```$/gms, '');
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target = '']) => target)
    .filter((target) => !/^[a-z]+:/.test(target))
    .map((target) => {
      const [path = '', anchor] = target.split('#');
      return {
        path: path === '' ? document : relative(ROOT, resolve(ROOT, dirname(document), path)),
        anchor,
      };
    });
}

function leads(path: string, anchor: string | undefined): boolean {
  if (!existsSync(join(ROOT, path))) return false;
  return anchor === undefined || headingsOf(path).includes(anchor);
}

function isShipped(path: string): boolean {
  return SHIPPED.some((name) => path === name || path.startsWith(`${name}/`));
}

/** The anchors that GitHub makes of headings. */
function headingsOf(document: string): readonly string[] {
  const prose = (texts.get(document) ?? '').replace(/^```.*?^```$/gms, '');
  return [...prose.matchAll(/^#+ (.+)$/gm)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replace(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  );
}

function sourcesOf(folder: string): readonly string[] {
  return readdirSync(folder)
    .map((name) => join(folder, name))
    .flatMap((path) => (statSync(path).isDirectory() ? sourcesOf(path) : path.endsWith('.ts') ? [path] : []));
}
