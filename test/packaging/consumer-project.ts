import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';

const ROOT = resolve(__dirname, '../..');

/** The exit code of a command, and its stdout and stderr as one text. */
export interface Outcome {
  readonly code: number | null;
  readonly output: string;
}

/** Runs a command to its end in `cwd`. */
export function run(cwd: string, command: string, ...args: string[]): Outcome {
  // npm sets npm_* variables for its scripts. They name this repository instead of the consumer's folder.
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(npm_|NODE_OPTIONS$|INIT_CWD$)/.test(name)),
  );
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, env, encoding: 'utf8', timeout: 120_000 });
  return { code: status, output: `${stdout}${stderr}${error ? String(error) : ''}` };
}

/** Like {@link run}, but returns only the output, and throws if the command failed. */
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

/** The versions in one of our lock files. With fixed versions, a new release of a package cannot break the test. */
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

/** How to compile an app. */
export interface Compilation {
  /** Path of the compiler's executable. */
  readonly compiler: string;
  readonly module: 'commonjs' | 'nodenext';
  readonly moduleResolution: 'node10' | 'nodenext';
}

/** A folder with an app that uses the library. Packages come from the registry, the library from its tarball. */
export class ConsumerProject {
  private constructor(readonly folder: string) {}

  /** Creates the folder, installs, and copies `sources` as `name.ts` (CommonJS) and `name.mts` (ES module). */
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

  /**
   * Compiles `files` into `out` and returns the errors. skipLibCheck is off, so the compiler checks the declarations of
   * every package.
   */
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

  /** Runs a compiled file and returns the JSON on its last line. */
  run(file: string): unknown {
    const output = mustRun(this.folder, process.execPath, file).trim();
    return JSON.parse(output.split('\n').at(-1) ?? '');
  }
}
