import { cpSync, existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import * as ts from 'typescript';
import { type BlockFile, fileOf, type Page, ROOT } from './code-blocks';

/** How an app compiles, and on what. */
export interface Variant {
  readonly name: string;
  /** Folders with packages. The first one that has a package wins. */
  readonly packages: readonly string[];
  readonly type: 'module' | 'commonjs';
  readonly options: ts.CompilerOptions;
}

const NEST_12 = [join(ROOT, 'node_modules')];
const NEST_11 = [join(ROOT, 'compat/nest11/node_modules'), join(ROOT, 'node_modules')];

export const VARIANTS = {
  nodenext: {
    name: 'ES modules on Nest 12, nodenext',
    packages: NEST_12,
    type: 'module',
    options: { module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext },
  },
  bundler: {
    name: 'a bundler on Nest 12',
    packages: NEST_12,
    type: 'module',
    options: { module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler, noEmit: true },
  },
  nest11: {
    name: 'CommonJS on Nest 11, node10',
    packages: NEST_11,
    type: 'commonjs',
    options: {
      module: ts.ModuleKind.CommonJS,
      moduleResolution: ts.ModuleResolutionKind.Node10,
      ignoreDeprecations: '6.0',
    },
  },
} as const satisfies Record<string, Variant>;

const STRICT: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES2022,
  lib: ['lib.es2023.d.ts'],
  types: ['node', 'jest'],
  strict: true,
  exactOptionalPropertyTypes: true,
  skipLibCheck: false,
  esModuleInterop: true,
  experimentalDecorators: true,
  emitDecoratorMetadata: true,
  strictPropertyInitialization: true,
};

/** A folder with the small project of each page, the built library and the packages of one variant. */
export class DocsProject {
  readonly #offsets = new Map<string, { readonly page: string; readonly offset: number }>();
  readonly #files: string[];

  constructor(
    readonly folder: string,
    readonly variant: Variant,
    pages: readonly Page[],
  ) {
    for (const needed of [join(ROOT, 'dist'), ...variant.packages]) {
      if (!existsSync(needed)) {
        throw new Error(`${needed} is missing. Run: npm run build && npm --prefix compat/nest11 ci`);
      }
    }
    mkdirSync(join(folder, 'node_modules'), { recursive: true });
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'docs', type: variant.type }));
    variant.packages.forEach((packages) => linkPackages(packages, join(folder, 'node_modules')));
    const library = join(folder, 'node_modules/nestjs-medplum');
    cpSync(join(ROOT, 'package.json'), join(library, 'package.json'));
    cpSync(join(ROOT, 'dist'), join(library, 'dist'), { recursive: true });
    cpSync(join(__dirname, 'packages.d.ts'), join(folder, 'packages.d.ts'));
    cpSync(join(__dirname, 'pages'), folder, { recursive: true });
    const further = readdirSync(join(__dirname, 'pages'), { recursive: true, encoding: 'utf8' });
    this.#files = [
      join(folder, 'packages.d.ts'),
      ...further.filter((name) => name.endsWith('.ts')).map((name) => join(folder, name)),
      ...pages.flatMap((page) => this.#addPage(page)),
    ];
  }

  /**
   * Compiles every page and returns the errors in its code and in the declarations of the library. Those in declarations
   * of other packages are left out: some of them need packages that an app need not have.
   */
  compile(): string[] {
    const options = { ...STRICT, rootDir: this.folder, outDir: this.folder, ...this.variant.options };
    const program = ts.createProgram(this.#files, options);
    const library = join(this.folder, 'node_modules/nestjs-medplum/');
    const own = program
      .getSourceFiles()
      .filter(
        ({ fileName }) =>
          fileName.startsWith(library) || (fileName.startsWith(this.folder) && !fileName.includes('/node_modules/')),
      );
    const errors = [
      ...program.getOptionsDiagnostics(),
      ...program.getGlobalDiagnostics(),
      ...own.flatMap((file) => [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)]),
    ];
    if (options.noEmit !== true) {
      own.filter((file) => !file.isDeclarationFile).forEach((file) => program.emit(file));
    }
    return errors.map((error) => this.#describe(error));
  }

  /** Files of pages that end so, as JavaScript. */
  emitted(ending: string): string[] {
    return this.#files.filter((file) => file.endsWith(`${ending}.ts`)).map((file) => file.replace(/ts$/, 'js'));
  }

  #addPage(page: Page): string[] {
    const files = page.blocks.filter(({ language }) => language === 'ts').map((block) => fileOf(block));
    return files.map((file) => this.#addBlock(page, file));
  }

  #addBlock(page: Page, { path, source, offset }: BlockFile): string {
    const file = join(this.folder, page.name, path);
    if (this.#offsets.has(file)) {
      throw new Error(`${page.path} has two files ${path}.`);
    }
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, source);
    this.#offsets.set(file, { page: page.path, offset });
    return file;
  }

  #describe({ file, start, messageText }: ts.Diagnostic): string {
    const message = ts.flattenDiagnosticMessageText(messageText, '\n');
    if (!file || start === undefined) {
      return message;
    }
    const line = file.getLineAndCharacterOfPosition(start).line + 1;
    const block = this.#offsets.get(file.fileName);
    const place = block ? `${block.page}:${line + block.offset}` : `${relative(this.folder, file.fileName)}:${line}`;
    return `${place} ${message}`;
  }
}

/** Links what is not there yet. Packages of Nest come from the first folder only, so that there is one Nest. */
function linkPackages(from: string, to: string): void {
  for (const name of readdirSync(from).filter((one) => !one.startsWith('.'))) {
    const target = join(to, name);
    if (name.startsWith('@') && name !== '@nestjs') {
      mkdirSync(target, { recursive: true });
      for (const scoped of readdirSync(join(from, name))) {
        linkOnce(join(from, name, scoped), join(target, scoped));
      }
    } else {
      linkOnce(join(from, name), target);
    }
  }
}

function linkOnce(from: string, to: string): void {
  if (!existsSync(to) && basename(to) !== 'nestjs-medplum') {
    symlinkSync(from, to);
  }
}
