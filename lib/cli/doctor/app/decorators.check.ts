import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Check, type Finding, ok, problem, warning } from '../check';
import { type AppContext, dependenciesOf } from './app-context';
import { readJsonc } from './jsonc';
import { readCompilerOptions } from './tsconfig';

const WHY =
  "Nest reads the types of constructor parameters from decorator metadata. Without it, the app fails at start: Nest can't resolve dependencies.";

/** Whether the build keeps the decorator metadata that Nest injects by. */
export const decoratorsCheck: Check<AppContext> = {
  name: 'decorators',
  run(app) {
    const findings = [...typescriptFindings(app), ...swcFindings(app), ...esbuildFindings(app)];
    return findings.length > 0 ? findings : [ok('The build keeps decorator metadata, as far as doctor can see.')];
  },
};

function typescriptFindings({ folder }: AppContext): Finding[] {
  const nestCli = readJsonc(join(folder, 'nest-cli.json'));
  const named = nestCli?.object('compilerOptions').text('tsConfigPath');
  const names = [...new Set([...(named === undefined ? [] : [named]), 'tsconfig.build.json', 'tsconfig.json'])];
  return names
    .filter((name) => existsSync(join(folder, name)))
    .flatMap((name) => compilerFindings(name, join(folder, name)));
}

function compilerFindings(name: string, file: string): Finding[] {
  const options = readCompilerOptions(file);
  if (!options) {
    const fix = `Correct the syntax of ${name}, and install the packages that it extends.`;
    return [warning(`${name}, or a file that it extends, cannot be read.`, WHY, fix)];
  }
  const missing = ['experimentalDecorators', 'emitDecoratorMetadata'].filter((option) => options.get(option) !== true);
  if (missing.length === 0) {
    return [];
  }
  const fix = `Set ${missing.map((option) => `"${option}": true`).join(' and ')} in its compilerOptions.`;
  return [problem(`${name} does not set ${missing.join(' and ')}.`, WHY, fix)];
}

/** The Nest CLI sets both options for swc, so a file has to switch them off. Other tools that use swc set neither. */
function swcFindings({ folder }: AppContext): Finding[] {
  const name = '.swcrc';
  if (!existsSync(join(folder, name))) {
    return [];
  }
  const config = readJsonc(join(folder, name));
  const transform = config?.object('jsc').object('transform');
  const settings = ['legacyDecorator', 'decoratorMetadata'].map((option) => [option, transform?.get(option)] as const);
  const missing = settings.filter(([, value]) => value !== true);
  if (missing.length === 0) {
    return [];
  }
  const names = missing.map(([option]) => option).join(' and ');
  const fix = `Set "jsc": { "transform": { "legacyDecorator": true, "decoratorMetadata": true } } in ${name}.`;
  return missing.some(([, value]) => value === false) || !usesNestSwc(folder)
    ? [problem(`${name} does not set ${names}.`, WHY, fix)]
    : [];
}

function usesNestSwc(folder: string): boolean {
  const options = readJsonc(join(folder, 'nest-cli.json'))?.object('compilerOptions');
  return options?.text('builder') === 'swc' || options?.object('builder').text('type') === 'swc';
}

/** esbuild, and so tsx and vitest, never writes decorator metadata. */
function esbuildFindings({ manifest }: AppContext): Finding[] {
  const scripts = manifest.object('scripts');
  const fix = 'Run it with nest start, ts-node, or swc with decoratorMetadata.';
  const findings = scripts.keys
    .map((name) => ({ name, tool: /(?:^|[\s;&|/])(tsx|esbuild)(?=\s|$)/.exec(scripts.text(name) ?? '')?.[1] }))
    .filter(({ tool }) => tool !== undefined)
    .map(({ name, tool }) =>
      warning(`The script "${name}" uses ${tool}, which writes no decorator metadata.`, WHY, fix),
    );
  const dependencies = dependenciesOf(manifest);
  if (dependencies.has('vitest') && !dependencies.has('unplugin-swc')) {
    findings.push(
      warning(
        'vitest compiles with esbuild, which writes no decorator metadata.',
        'Tests that inject by type fail, or inject undefined.',
        'Install unplugin-swc and @swc/core, and add swc.vite() to the plugins of vitest.',
      ),
    );
  }
  return findings;
}
