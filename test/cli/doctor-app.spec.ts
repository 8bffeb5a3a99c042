import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { runDoctor } from '../support/doctor';

const LIBRARY = {
  name: 'nestjs-medplum',
  version: '1.0.0',
  engines: { node: '^20.19.0 || >=22.12.0' },
  peerDependencies: { '@nestjs/common': '^11.0.0 || ^12.0.0', 'nestjs-cls': '^6.3.1', '@medplum/core': '^5.2.0' },
  peerDependenciesMeta: { '@medplum/core': { optional: true } },
};
const OPTIONS = { experimentalDecorators: true, emitDecoratorMetadata: true };
const APP = { name: 'app', dependencies: { 'nestjs-medplum': '^1.0.0' }, engines: LIBRARY.engines };

describe('nestjs-medplum doctor in the folder of an app', () => {
  let root: string;
  let app: string;

  const write = (file: string, content: unknown): void => {
    const path = join(app, file);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  };
  const install = (name: string, version: string, under = ''): void =>
    write(join(under, 'node_modules', name, 'package.json'), { name, version });
  const doctor = (...args: string[]) => runDoctor(['--json', '--skip-server', '--app', app, ...args]);

  beforeEach(() => {
    root = realpathSync(mkdtempSync(join(tmpdir(), 'doctor-app-')));
    app = join(root, 'packages/app');
    write('package.json', APP);
    write('tsconfig.json', { compilerOptions: OPTIONS });
    write('node_modules/nestjs-medplum/package.json', LIBRARY);
    install('@nestjs/common', '12.5.1');
    install('nestjs-cls', '6.3.1');
  });

  afterEach(() => rmSync(root, { recursive: true }));

  it('finds a healthy app', async () => {
    const run = await doctor();
    expect(run.exitCode).toBe(0);
    expect(run.json.findings.map(({ check, level }) => `${check} ${level}`)).toEqual([
      'copies ok',
      'peers ok',
      'node ok',
      'decorators ok',
    ]);
  });

  it('takes the current folder only if it is an app that depends on the library', async () => {
    const here = jest.spyOn(process, 'cwd').mockReturnValue(app);
    try {
      expect((await runDoctor(['--json', '--skip-server'])).json.findings).toHaveLength(4);
      write('package.json', { name: 'app' });
      await expect(runDoctor(['--skip-server'])).rejects.toThrow('no app is here');
    } finally {
      here.mockRestore();
    }
  });

  it('says that the library is not installed', async () => {
    rmSync(join(app, 'node_modules'), { recursive: true });
    const run = await doctor();
    expect(run.of('copies')).toMatchObject([{ level: 'error', fix: expect.stringContaining('npm install') }]);
    expect(run.of('peers')).toMatchObject([{ level: 'skipped' }]);
    expect(run.of('node')).toMatchObject([{ level: 'skipped' }]);
    expect(run.exitCode).toBe(1);
  });

  it('finds a second copy of the library, and of nestjs-cls, below another package', async () => {
    write('node_modules/shared/package.json', { name: 'shared' });
    write('node_modules/shared/node_modules/nestjs-medplum/package.json', { ...LIBRARY, version: '0.9.0' });
    install('nestjs-cls', '5.0.0', 'node_modules/@scope/other');
    const findings = (await doctor()).of('copies');
    expect(findings).toMatchObject([
      {
        level: 'error',
        what: expect.stringMatching(/2 copies of nestjs-medplum: .*nestjs-medplum \(1\.0\.0\).*\(0\.9\.0\)\.$/),
        fix: expect.stringContaining('npm ls nestjs-medplum'),
      },
      { level: 'error', what: expect.stringContaining('2 copies of nestjs-cls') },
    ]);
  });

  it('warns of a second copy of Nest', async () => {
    install('@nestjs/common', '11.0.0', 'node_modules/tool');
    write('node_modules/tool/package.json', { name: 'tool' });
    expect((await doctor()).of('copies')).toMatchObject([{ level: 'warning' }]);
  });

  it('finds a second copy above the app, and none in a workspace that the app does not use', async () => {
    write('../other/package.json', { name: 'other' });
    write('../other/node_modules/nestjs-medplum/package.json', LIBRARY);
    mkdirSync(join(root, 'node_modules'));
    symlinkSync(join(root, 'packages/other'), join(root, 'node_modules/other'), 'dir');
    expect((await doctor()).of('copies')).toMatchObject([{ level: 'ok' }]);
    write('package.json', { ...APP, dependencies: { ...APP.dependencies, other: '*' } });
    expect((await doctor()).of('copies')).toMatchObject([{ level: 'error' }]);
    write('package.json', APP);
    write('../../node_modules/nestjs-medplum/package.json', LIBRARY);
    expect((await doctor()).of('copies')).toMatchObject([{ level: 'error' }]);
  });

  it('understands the links of pnpm', async () => {
    rmSync(join(app, 'node_modules'), { recursive: true });
    const store = 'node_modules/.pnpm/nestjs-medplum@1/node_modules';
    write(`${store}/nestjs-medplum/package.json`, LIBRARY);
    write('node_modules/.pnpm/nestjs-cls@6/node_modules/nestjs-cls/package.json', { version: '6.3.1' });
    write('node_modules/.pnpm/common@12/node_modules/@nestjs/common/package.json', { version: '12.0.0' });
    const link = (target: string, path: string): void => {
      mkdirSync(dirname(join(app, path)), { recursive: true });
      symlinkSync(join(app, 'node_modules/.pnpm', target), join(app, path), 'dir');
    };
    link('nestjs-medplum@1/node_modules/nestjs-medplum', 'node_modules/nestjs-medplum');
    link('nestjs-cls@6/node_modules/nestjs-cls', `${store}/nestjs-cls`);
    link('common@12/node_modules/@nestjs/common', `${store}/@nestjs/common`);
    const healthy = await doctor();
    expect(healthy.of('copies')).toMatchObject([{ level: 'ok', what: expect.stringContaining('nestjs-cls') }]);
    expect(healthy.of('peers')).toMatchObject([{ level: 'ok' }]);
    write('node_modules/.pnpm/nestjs-cls@7/node_modules/nestjs-cls/package.json', { version: '7.0.0' });
    link('nestjs-cls@7/node_modules/nestjs-cls', 'node_modules/nestjs-cls');
    expect((await doctor()).of('copies')).toMatchObject([{ level: 'error', what: expect.stringContaining('(7.0.0)') }]);
  });

  it("leaves packages in Yarn's archive alone", async () => {
    write('.pnp.cjs', '');
    const run = await doctor();
    expect(run.of('copies')).toMatchObject([{ level: 'skipped' }]);
    expect(run.of('peers')).toMatchObject([{ level: 'skipped' }]);
  });

  it('names peers that are missing or out of range', async () => {
    rmSync(join(app, 'node_modules/nestjs-cls'), { recursive: true });
    install('@nestjs/common', '10.4.0');
    install('@medplum/core', '4.0.0');
    const run = await doctor();
    expect(run.of('peers')).toMatchObject([
      { level: 'error', what: expect.stringContaining('@nestjs/common 10.4.0 is installed') },
      { level: 'error', what: 'nestjs-cls is not installed.', fix: 'Run npm install nestjs-cls@"^6.3.1".' },
      { level: 'warning', what: expect.stringContaining('@medplum/core 4.0.0') },
    ]);
  });

  it('judges this Node, and those that the app allows', async () => {
    write('package.json', { ...APP, engines: { node: '>=18' } });
    const wide = (await doctor()).of('node');
    expect(wide).toMatchObject([{ level: 'warning', what: expect.stringContaining('18.20.0, 20.0.0, 20.18.0') }]);
    expect(wide[0]?.what).not.toContain('20.19.0');
    write('package.json', { ...APP, engines: { node: '^16' } });
    expect((await doctor()).of('node')[0]).toMatchObject({
      level: 'warning',
      what: expect.stringContaining('This Node'),
    });
    write('node_modules/nestjs-medplum/package.json', { ...LIBRARY, engines: { node: '>=99' } });
    expect((await doctor()).of('node')[0]).toMatchObject({
      level: 'error',
      what: expect.stringContaining('needs >=99'),
    });
    write('package.json', { ...APP, engines: undefined });
    write('node_modules/nestjs-medplum/package.json', LIBRARY);
    expect((await doctor()).of('node')).toMatchObject([{ level: 'ok' }]);
  });

  it('reads a tsconfig with comments, and the files that it extends', async () => {
    install('@tsconfig/base', '1.0.0');
    write('node_modules/@tsconfig/base/tsconfig.json', { compilerOptions: { emitDecoratorMetadata: true } });
    write('base.json', { extends: '@tsconfig/base', compilerOptions: { experimentalDecorators: true } });
    write('tsconfig.json', '{\n// "a": 1,\n"extends": "./base", /* b */ "include": ["src//*", ],\n}');
    expect((await doctor()).of('decorators')).toMatchObject([{ level: 'ok' }]);
    write('tsconfig.json', { extends: ['./base'], compilerOptions: { emitDecoratorMetadata: false } });
    expect((await doctor()).of('decorators')).toMatchObject([
      { level: 'error', what: 'tsconfig.json does not set emitDecoratorMetadata.' },
    ]);
    write('tsconfig.json', { extends: './missing' });
    expect((await doctor()).of('decorators')).toMatchObject([{ level: 'warning' }]);
    write('tsconfig.json', { extends: './tsconfig.json' });
    expect((await doctor()).of('decorators')).toMatchObject([{ level: 'warning' }]);
  });

  it('reads the tsconfig that the Nest CLI builds with', async () => {
    write('nest-cli.json', { compilerOptions: { tsConfigPath: 'tsconfig.prod.json' } });
    write('tsconfig.prod.json', { compilerOptions: { experimentalDecorators: true } });
    write('tsconfig.build.json', { extends: './tsconfig.json' });
    const run = await doctor();
    expect(run.of('decorators')).toMatchObject([
      { level: 'error', what: expect.stringContaining('tsconfig.prod.json') },
    ]);
    expect(run.exitCode).toBe(1);
  });

  it('judges swc', async () => {
    write('.swcrc', { jsc: { parser: { syntax: 'typescript', decorators: true } } });
    expect((await doctor()).of('decorators')).toMatchObject([
      { level: 'error', what: '.swcrc does not set legacyDecorator and decoratorMetadata.' },
    ]);
    // The Nest CLI sets both, unless the file says otherwise.
    write('nest-cli.json', { compilerOptions: { builder: { type: 'swc' } } });
    expect((await doctor()).of('decorators')).toMatchObject([{ level: 'ok' }]);
    write('.swcrc', { jsc: { transform: { decoratorMetadata: false } } });
    expect((await doctor()).of('decorators')).toMatchObject([{ level: 'error' }]);
    rmSync(join(app, 'nest-cli.json'));
    write('.swcrc', { jsc: { transform: { legacyDecorator: true, decoratorMetadata: true } } });
    expect((await doctor()).of('decorators')).toMatchObject([{ level: 'ok' }]);
  });

  it('warns of tools that compile with esbuild', async () => {
    const scripts = {
      start: 'tsx watch src/main.ts',
      build: 'nest build',
      bundle: 'npx esbuild src/main.ts',
      t: 'tsx-not',
    };
    write('package.json', { ...APP, scripts, devDependencies: { vitest: '^3.0.0' } });
    expect((await doctor()).of('decorators')).toMatchObject([
      { level: 'warning', what: expect.stringContaining('"start" uses tsx') },
      { level: 'warning', what: expect.stringContaining('"bundle" uses esbuild') },
      { level: 'warning', what: expect.stringContaining('vitest') },
    ]);
    write('package.json', { ...APP, devDependencies: { vitest: '^3.0.0', 'unplugin-swc': '^1.0.0' } });
    expect((await doctor()).of('decorators')).toMatchObject([{ level: 'ok' }]);
  });
});
