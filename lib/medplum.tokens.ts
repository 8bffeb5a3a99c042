import { Inject, type InjectionToken } from '@nestjs/common';
import { MedplumService } from './medplum.service';
import { DEFAULT_CLIENT } from './on-behalf-of/on-behalf-of.registry';

/**
 * The token of a client: the class `MedplumService` for the unnamed one, else a symbol of its name.
 *
 * @param name the `name` that the client was given in `forRoot()`.
 */
export function getMedplumToken(name?: string): InjectionToken<MedplumService> {
  return name === undefined ? MedplumService : Symbol.for(`nestjs-medplum:client:${name}`);
}

/**
 * The token of a client's options, for tests: `overrideProvider(getMedplumOptionsToken()).useValue(emulator.options(yours))`.
 *
 * @param name the `name` that the client was given in `forRoot()`.
 */
export function getMedplumOptionsToken(name?: string): symbol {
  return Symbol.for(`nestjs-medplum:options:${name ?? DEFAULT_CLIENT}`);
}

/** @internal */
export function getConnectionToken(name?: string): symbol {
  return Symbol.for(`nestjs-medplum:connection:${name ?? DEFAULT_CLIENT}`);
}

/**
 * Injects a client by its name. The unnamed one is injected by its class, `MedplumService`, as well.
 *
 * @param name the `name` that the client was given in `forRoot()`.
 */
export function InjectMedplum(name?: string): PropertyDecorator & ParameterDecorator {
  return Inject(getMedplumToken(name));
}
