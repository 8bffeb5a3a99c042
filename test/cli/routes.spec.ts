import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { type Options, transformSync } from '@swc/core';

const { SWC_OPTIONS } = require('../../register-typescript.cjs') as { SWC_OPTIONS: Options };
const ROOT = resolve(__dirname, '../..');
const RUNNER = join(ROOT, 'test/support/run-typescript.cjs');
const PROGRAM = join(ROOT, 'test/support/cli-program.ts');

/** An app in which whatever Nest creates fails, and that would write a file and listen if it were started. */
const APP = `
import { Controller, Get, Injectable, Module } from '@nestjs/common';
import { ConfigModule, ConfigService } from '@nestjs/config';
import { ApolloDriver } from '@nestjs/apollo';
import { Field, GraphQLModule, ObjectType, Query, ResolveField, Resolver } from '@nestjs/graphql';
import * as imported from 'nestjs-medplum';
const { AsClientApplication, fromUser, MedplumModule, MedplumService, OnBehalfOf, RunOnBehalfOf, WithoutMedplum } = imported.default ?? imported;

function broken(): never {
  throw new Error('Something was created.');
}

@Injectable()
class Jobs {
  constructor() { broken(); }

  @RunOnBehalfOf(() => 'Practitioner/1234')
  nightly() {}
}

@Controller('patients')
@OnBehalfOf(fromUser('membership'))
class Patients {
  constructor(readonly medplum: MedplumService, readonly jobs: Jobs) { broken(); }

  @Get(':id')
  read() {}

  @Get('count')
  @AsClientApplication({ reason: 'statistics' })
  count() {}

  @Get('fixed')
  @OnBehalfOf('Practitioner/1234', { client: 'lab' })
  fixed() {}
}

@Controller('health')
@WithoutMedplum()
class Health {
  @Get()
  check() {}
}

@Controller('metrics')
class Metrics {
  @Get()
  index() {}
}

@ObjectType()
class Chart {
  @Field(() => String)
  id!: string;
}

@Resolver(() => Chart)
@OnBehalfOf()
class Charts {
  @Query(() => Chart)
  chart() {}

  @ResolveField(() => String)
  notes() {}
}

@Module({
  imports: [
    ConfigModule.forRoot({ isGlobal: true }),
    MedplumModule.forRootAsync({ inject: [ConfigService], useFactory: broken, routes: { mode: 'enforce', exclude: EXCLUDE } }),
    MedplumModule.forRootAsync({ name: 'lab', useFactory: broken }),
    GraphQLModule.forRootAsync({ driver: ApolloDriver, inject: [ConfigService], useFactory: broken }),
    GraphQLModule.forRoot({ driver: ApolloDriver, autoSchemaFile: __dirname + '/schema.gql' }),
  ],
  controllers: [Patients, Health, Metrics],
  providers: [Jobs, Charts],
})
export class AppModule {}
`;

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'routes-'));
  for (const name of ['@nestjs', 'graphql', 'reflect-metadata', 'rxjs']) {
    mkdirSync(dirname(join(folder, 'node_modules', name)), { recursive: true });
    symlinkSync(join(ROOT, 'node_modules', name), join(folder, 'node_modules', name));
  }
  // ES modules do not go through the loader of run-typescript.cjs.
  write('node_modules/nestjs-medplum/package.json', JSON.stringify({ name: 'nestjs-medplum', main: 'index.cjs' }));
  write(
    'node_modules/nestjs-medplum/index.cjs',
    `module.exports = require(${JSON.stringify(join(ROOT, 'lib/index.ts'))});`,
  );
  writeApp('dist/app.module.js', '[]');
  writeApp('decided/app.module.js', "['Metrics.index']");
  write('esm/package.json', JSON.stringify({ type: 'module' }));
  writeApp('esm/app.module.js', '[Metrics]', 'es6');
  write('esm/awaiting.js', 'await Promise.resolve(); export class AppModule {}');
  write('other/root.js', 'exports.RootModule = class {}; exports.help = 1;');
  write('other/two.js', 'exports.One = class {}; exports.Two = class {};');
  write('other/broken.js', "require('./not-there');");
  write('other/main.js', 'throw new Error("Started.");');
});

afterAll(() => rmSync(folder, { recursive: true }));

function write(file: string, text: string): void {
  mkdirSync(dirname(join(folder, file)), { recursive: true });
  writeFileSync(join(folder, file), text);
}

function writeApp(file: string, exclude: string, type: 'commonjs' | 'es6' = 'commonjs'): void {
  const source = APP.replace('EXCLUDE', exclude).replace(
    '__dirname',
    type === 'es6' ? 'import.meta.dirname' : '__dirname',
  );
  write(file, transformSync(source, { filename: 'app.ts', ...SWC_OPTIONS, module: { type } }).code);
}

interface Run {
  readonly code: number;
  readonly text: string;
  readonly problem: string;
}

const run = (...args: string[]): Promise<Run> =>
  new Promise((done) => {
    execFile(process.execPath, [RUNNER, PROGRAM, 'routes', ...args], { cwd: folder }, (error, text, problem) =>
      done({ code: typeof error?.code === 'number' ? error.code : 0, text, problem }),
    );
  });

const TABLE = [
  'kind     address              handler         identity',
  "http     GET /patients/:id    Patients.read   @OnBehalfOf(fromUser('membership'))",
  'http     GET /patients/count  Patients.count  @AsClientApplication() "statistics"',
  "http     GET /patients/fixed  Patients.fixed  @OnBehalfOf(fromUser('membership')), @OnBehalfOf(reference) for lab",
  'http     GET /health          Health.check    @WithoutMedplum()',
  'http     GET /metrics         Metrics.index   undecided',
  'method   -                    Jobs.nightly    @RunOnBehalfOf(function)',
  'graphql  Query chart          Charts.chart    @OnBehalfOf(resolveOnBehalfOf)',
  'graphql  Chart.notes          Charts.notes    none',
  '',
  '8 handlers, 1 undecided',
  '',
].join('\n');

describe('nestjs-medplum routes', () => {
  it('prints the handlers of an app and creates nothing', async () => {
    expect(await run()).toEqual({ code: 0, text: TABLE, problem: '' });
    expect(existsSync(join(folder, 'dist/schema.gql'))).toBe(false);
  });

  it('reads ES modules, named by file and class', async () => {
    const { code, text } = await run('esm/app.module.js#AppModule', '--enforce');
    expect(text).toBe(
      TABLE.replace('undecided', 'none     ').replace('1 undecided', '0 undecided').replace(/ +$/gm, ''),
    );
    expect(code).toBe(0);
  });

  it('prints JSON, without ids', async () => {
    const { code, text } = await run('--json');
    const { format, undecided, routes } = JSON.parse(text) as { format: string; undecided: number; routes: object[] };
    expect([code, format, undecided, routes.length]).toEqual([0, 'nestjs-medplum-routes/1', 1, 8]);
    expect(routes[1]).toEqual({
      kind: 'http',
      className: 'Patients',
      handler: 'count',
      address: 'GET /patients/count',
      identities: [{ client: 'default', decorator: 'AsClientApplication', reason: 'statistics' }],
      withoutMedplum: false,
      undecided: false,
    });
    expect(text).not.toContain('1234');
  });

  it('fails with --enforce while a handler says nothing, unless the app excludes it', async () => {
    expect((await run('--enforce')).code).toBe(1);
    expect((await run('decided/app.module.js', '--enforce')).code).toBe(0);
  });

  it('says how it is used', async () => {
    const { code, text } = await run('--help');
    expect(code).toBe(0);
    expect(text).toContain('usage: nestjs-medplum routes [file[#Class]]');
  });

  it.each<readonly [string, number, RegExp]>([
    ['not-there.js', 2, /there is no file not-there\.js; build the app/],
    ['src/app.module.ts', 2, /there is no file/],
    ['other/main.js', 2, /loading other\/main\.js would start the app; name the compiled file of its root module/],
    ['other/two.js', 2, /has no AppModule; name the class .* \(classes there: One, Two\)/],
    ['other/root.js#AppModule', 2, /has no AppModule; .* \(classes there: RootModule\)/],
    ['other/broken.js', 1, /other\/broken\.js cannot be loaded: Cannot find module/],
    ['esm/awaiting.js', 1, /uses a top-level await; move that into a function/],
    ['--unknown', 2, /--unknown/],
  ])('says what is wrong with %s', async (argument, code, problem) => {
    const result = await run(argument);
    expect(result.problem).toMatch(problem);
    expect(result.code).toBe(code);
    expect(result.text).toBe('');
  });
});
