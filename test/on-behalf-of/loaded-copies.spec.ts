import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { ModuleRef } from '@nestjs/core';
import { Test } from '@nestjs/testing';
import { MedplumConfigError } from 'nestjs-medplum';
import { findProvider } from '../../lib/on-behalf-of/find-provider';
import { OnBehalfOfRegistry } from '../../lib/on-behalf-of/on-behalf-of.registry';

const SOURCE = resolve(__dirname, '../../lib/shared/loaded-copies.ts');

describe('A second copy of the library', () => {
  let folder: string;

  beforeEach(() => {
    folder = join(mkdtempSync(join(tmpdir(), 'copies-')), 'node_modules/nestjs-medplum');
    mkdirSync(join(folder, 'dist/shared'), { recursive: true });
    cpSync(SOURCE, join(folder, 'dist/shared/loaded-copies.ts'));
    writeFileSync(join(folder, 'package.json'), '{"version":"9.8.7"}');
  });
  afterEach(() => {
    const copies = (globalThis as unknown as Record<symbol, Set<string>>)[Symbol.for('nestjs-medplum:copies')];
    copies?.delete(folder);
    rmSync(resolve(folder, '../..'), { recursive: true });
  });

  it('is a warning when it is loaded, and part of the error that it leads to', async () => {
    const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    const app = await Test.createTestingModule({}).compile();
    const failure = () => findProvider(app.get(ModuleRef), OnBehalfOfRegistry);
    expect(failure).toThrow('MedplumModule is not imported. Import MedplumModule.forRoot()');
    expect(warn).not.toHaveBeenCalled();
    await import(join(folder, 'dist/shared/loaded-copies.ts'));
    const text = `${resolve(__dirname, '../..')} (0.1.0) and ${folder} (9.8.7). Keep one: npm ls nestjs-medplum`;
    expect(warn).toHaveBeenCalledWith(expect.stringContaining(text), { code: 'NESTJS_MEDPLUM_COPIES' });
    expect(failure).toThrow(MedplumConfigError);
    expect(failure).toThrow(text);
    warn.mockRestore();
    await app.close();
  });
});
