import type { Type } from '@nestjs/common';
import type { ModuleRef } from '@nestjs/core';
import { MedplumConfigError } from '../errors/medplum-config.error';

/**
 * A provider of the module's core, found at run time: guards and pipes are made in the module of the controller, where a
 * unit test may have nothing but a mocked `MedplumService`.
 *
 * @throws MedplumConfigError when MedplumModule is not imported anywhere in the app.
 */
export function findProvider<T>(moduleRef: ModuleRef, token: Type<T>): T {
  try {
    return moduleRef.get<T>(token, { strict: false });
  } catch {
    throw new MedplumConfigError(
      'A decorator of nestjs-medplum is in use, but MedplumModule is not: import MedplumModule.forRoot() or forRootAsync() in the root module.',
    );
  }
}
