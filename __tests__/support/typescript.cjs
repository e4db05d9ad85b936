/** Lets a plain Node process require the TypeScript of lib/. */
const { readFileSync } = require('node:fs');
const { ModuleKind, ScriptTarget, transpileModule } = require('typescript');

require.extensions['.ts'] = (module, path) => {
  const compilerOptions = { module: ModuleKind.CommonJS, target: ScriptTarget.ES2022, esModuleInterop: true };
  const { outputText } = transpileModule(readFileSync(path, 'utf8'), { compilerOptions });
  module._compile(outputText, path);
};
