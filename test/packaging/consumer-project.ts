import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';

const ROOT = resolve(__dirname, '../..');

/** The end of one command, its output as one text. */
export interface Outcome {
  readonly code: number | null;
  readonly output: string;
}

/** Runs a command to its end in `cwd`. */
export function run(cwd: string, command: string, ...args: string[]): Outcome {
  // Without the npm_* variables of an npm around us, which name our folder and not the consumer's.
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(npm_|NODE_OPTIONS$|INIT_CWD$)/.test(name)),
  );
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, env, encoding: 'utf8', timeout: 120_000 });
  return { code: status, output: `${stdout}${stderr}${error ? String(error) : ''}` };
}

/** As {@link run}, and what the command printed to stdout; throws when it failed. */
export function mustRun(cwd: string, command: string, ...args: string[]): string {
  const { code, output } = run(cwd, command, ...args);
  if (code !== 0) {
    throw new Error(`${command} ${args.join(' ')} ended with ${code}:\n${output}`);
  }
  return output;
}

interface Lock {
  readonly packages: Readonly<Record<string, { readonly version: string }>>;
}

/** The versions that a lock file of ours names: a red run is then our doing, not that of last night's release. */
export function lockedVersions(lockFile: string, names: readonly string[]): Record<string, string> {
  const { packages } = JSON.parse(readFileSync(join(ROOT, lockFile), 'utf8')) as Lock;
  return Object.fromEntries(
    names.map((name) => {
      const locked = packages[`node_modules/${name}`];
      if (!locked) {
        throw new Error(`${lockFile} does not hold ${name}.`);
      }
      return [name, locked.version];
    }),
  );
}

/** How a consumer compiles. */
export interface Compilation {
  /** Path of the compiler's executable. */
  readonly compiler: string;
  readonly module: 'commonjs' | 'nodenext';
  readonly moduleResolution: 'node10' | 'nodenext';
}

/** A folder with an app of somebody else: packages installed from the registry, this library from its tarball. */
export class ConsumerProject {
  private constructor(readonly folder: string) {}

  /** Makes the folder, installs, and puts `sources` in as `name.ts` (CommonJS) and `name.mts` (ES module). */
  static install(folder: string, dependencies: Record<string, string>, sources: readonly string[]): ConsumerProject {
    mkdirSync(folder, { recursive: true });
    const manifest = { name: basename(folder), private: true, type: 'commonjs', dependencies };
    writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest, undefined, 2));
    mustRun(
      folder,
      'npm',
      'install',
      '--ignore-scripts',
      '--no-audit',
      '--no-fund',
      '--prefer-offline',
      '--loglevel=error',
    );
    for (const source of sources) {
      cpSync(join(__dirname, 'consumer', `${source}.ts`), join(folder, `${source}.ts`));
      cpSync(join(__dirname, 'consumer', `${source}.ts`), join(folder, `${source}.mts`));
    }
    return new ConsumerProject(folder);
  }

  /** Compiles `files` into `out` with skipLibCheck off, so that the declarations of every package are checked, and returns the errors. */
  compile(files: readonly string[], out: string, { compiler, module, moduleResolution }: Compilation): string[] {
    const config = `tsconfig.${out}.json`;
    const compilerOptions = {
      module,
      moduleResolution,
      target: 'ES2022',
      lib: ['ES2023'],
      types: ['node'],
      strict: true,
      skipLibCheck: false,
      esModuleInterop: true,
      experimentalDecorators: true,
      emitDecoratorMetadata: true,
      rootDir: '.',
      outDir: out,
    };
    writeFileSync(join(this.folder, config), JSON.stringify({ compilerOptions, files }, undefined, 2));
    const { code, output } = run(this.folder, process.execPath, compiler, '--pretty', 'false', '--project', config);
    const errors = output.split('\n').filter((line) => /\berror TS\d+:/.test(line));
    if (code !== 0 && errors.length === 0) {
      throw new Error(`${compiler} did not run:\n${output}`);
    }
    return errors;
  }

  /** Runs a compiled file, and returns the JSON of its last line. */
  run(file: string): unknown {
    const output = mustRun(this.folder, process.execPath, file).trim();
    return JSON.parse(output.split('\n').at(-1) ?? '');
  }
}
