import type { Type } from '@nestjs/common';
import type { ModuleRef } from '@nestjs/core';
import { MedplumConfigError } from '../errors/medplum-config.error';
import { severalCopies } from '../shared/loaded-copies';

/**
 * Finds a provider of MedplumModule at run time. Nest creates guards and pipes in the module of the controller, and in a
 * unit test that module may hold only a mocked `MedplumService`.
 *
 * @throws MedplumConfigError when MedplumModule is not imported anywhere in the app, or only that of another copy.
 */
export function findProvider<T>(moduleRef: ModuleRef, token: Type<T>): T {
  try {
    return moduleRef.get<T>(token, { strict: false });
  } catch {
    throw new MedplumConfigError(
      `A decorator of nestjs-medplum is used, but MedplumModule is not imported. ${severalCopies() ?? 'Import MedplumModule.forRoot() or forRootAsync() in the root module.'}`,
    );
  }
}
