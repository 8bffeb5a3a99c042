import { Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { MetadataScanner, ModulesContainer } from '@nestjs/core';
import { MedplumConfigError } from '../errors/medplum-config.error';
import { isMedplumError } from '../errors/medplum.error';
import { type Acting, type ActingByClient, ownActing } from './acting-metadata';
import { isOnBehalfOfReference } from './on-behalf-of.reference';
import { OnBehalfOfRegistry, type RegisteredClient } from './on-behalf-of.registry';

/** Checks all decorators at start-up, so that a wrong one stops the app instead of failing a request. */
@Injectable()
export class OnBehalfOfExplorer implements OnModuleInit {
  readonly #logger = new Logger('OnBehalfOf');
  readonly #modules: ModulesContainer;
  readonly #registry: OnBehalfOfRegistry;

  constructor(modules: ModulesContainer, registry: OnBehalfOfRegistry) {
    this.#modules = modules;
    this.#registry = registry;
  }

  /** @throws MedplumConfigError that lists every wrong decorator. */
  onModuleInit(): void {
    const problems: string[] = [];
    const shadowed = new Set<string>();
    for (const [place, acting] of this.#decorated()) {
      for (const [name, entry] of Object.entries(acting)) {
        try {
          const client = this.#registry.get(name);
          checkSource(entry, client);
          if (entry.as === 'on-behalf-of' && client.hasDefault) {
            shadowed.add(name);
          }
        } catch (error) {
          problems.push(`${place}: ${isMedplumError(error) ? error.message : 'the decorator cannot be read'}`);
        }
      }
    }
    if (problems.length > 0) {
      throw new MedplumConfigError(`Some decorators of nestjs-medplum are wrong:\n- ${problems.join('\n- ')}`);
    }
    for (const name of shadowed) {
      this.#logger.warn(
        `The client "${name}" has a defaultOnBehalfOf, and some handlers are decorated for it. A call outside the scope of a handler runs as the default, not as the user. Leave defaultOnBehalfOf out if you do not want that.`,
      );
    }
  }

  *#decorated(): Iterable<readonly [place: string, acting: ActingByClient]> {
    const scanner = new MetadataScanner();
    const seen = new Set<object>();
    for (const module of this.#modules.values()) {
      for (const { metatype } of [...module.controllers.values(), ...module.providers.values()]) {
        if (typeof metatype !== 'function' || !metatype.prototype || seen.has(metatype)) {
          continue;
        }
        seen.add(metatype);
        const onClass = ownActing(metatype);
        if (onClass) {
          yield [metatype.name, onClass];
        }
        for (const name of scanner.getAllMethodNames(metatype.prototype as object)) {
          const method: unknown = (metatype.prototype as Record<string, unknown>)[name];
          const onMethod = typeof method === 'function' ? ownActing(method) : undefined;
          if (onMethod) {
            yield [`${metatype.name}.${name}`, onMethod];
          }
        }
      }
    }
  }
}

/** @throws MedplumConfigError or OnBehalfOfReferenceError when a decorator has no valid source. */
function checkSource(entry: Acting, client: RegisteredClient): void {
  if (entry.as === 'client-application') {
    return;
  }
  const source: unknown = entry.source ?? client.resolveOnBehalfOf;
  if (source === undefined) {
    throw new MedplumConfigError(
      '@OnBehalfOf() has no source. Pass one, or set the resolveOnBehalfOf option of the module.',
    );
  }
  if (typeof source === 'function') {
    return;
  }
  if (typeof source !== 'string' || !isOnBehalfOfReference(source)) {
    throw new MedplumConfigError(
      '@OnBehalfOf() has an invalid source. Pass a full reference such as ProjectMembership/<id>, a function or a resolver class.',
    );
  }
  client.identity.parse(source, 'The reference in the decorator');
}
