/**
 * node type-check.cjs FOLDER...: type-checks a project a folder, and prints an object with what is wrong with each and
 * which packages it reads. One process does all of them, for they share the parsed files. What is checked is all but the declarations of
 * TypeScript itself and of Node.js, which take half of the time.
 */
const { join } = require('node:path');
const ts = require('typescript');

const NOT_CHECKED = /node_modules\/(?:typescript|@types\/node|undici-types)\//;
const PACKAGE = /.*node_modules\/((?:@[^/]+\/)?[^/]+)/;
const AS_TEXT = {
  getCurrentDirectory: () => process.cwd(),
  getCanonicalFileName: (name) => name,
  getNewLine: () => '\n',
};
const parsed = new Map();

const checked = process.argv.slice(2).map((folder) => [folder, check(folder)]);
console.log(JSON.stringify(Object.fromEntries(checked)));

function check(folder) {
  const fatal = { ...ts.sys, onUnRecoverableConfigFileDiagnostic: () => process.exit(1) };
  const { fileNames, options, errors } = ts.getParsedCommandLineOfConfigFile(join(folder, 'tsconfig.json'), {}, fatal);
  const program = ts.createProgram(fileNames, options, sharingHost(options));
  const files = program.getSourceFiles().filter(({ fileName }) => !NOT_CHECKED.test(fileName));
  const found = [
    ...errors,
    ...program.getOptionsDiagnostics(),
    ...program.getSyntacticDiagnostics(),
    ...program.getGlobalDiagnostics(),
    ...files.flatMap((file) => program.getSemanticDiagnostics(file)),
  ];
  const names = program.getSourceFiles().map(({ fileName }) => PACKAGE.exec(fileName)?.[1]);
  return { problems: ts.formatDiagnostics(found, AS_TEXT), packages: [...new Set(names)] };
}

/** Parses a file once for all projects that read it alike. */
function sharingHost(options) {
  const host = ts.createCompilerHost(options);
  const parse = host.getSourceFile.bind(host);
  host.getSourceFile = (path, how, ...rest) => {
    const name = JSON.stringify([path, how]);
    if (!parsed.has(name)) parsed.set(name, parse(path, how, ...rest));
    return parsed.get(name);
  };
  return host;
}
