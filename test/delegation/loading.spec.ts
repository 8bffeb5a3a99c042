import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

it('an app that delegates nothing does not load jose', () => {
  const program = `
    require('./register-typescript.cjs').registerTypescript();
    require('reflect-metadata');
    require('nestjs-medplum');
    require('nestjs-medplum/delegation');
    process.stdout.write(String(Object.keys(require.cache).some((file) => file.includes('/jose/'))));`;
  const root = join(__dirname, '../..');
  const { stdout, stderr } = spawnSync(process.execPath, ['-e', program], { cwd: root, encoding: 'utf8' });
  expect([stdout, stderr]).toEqual(['false', '']);
}, 60_000);
