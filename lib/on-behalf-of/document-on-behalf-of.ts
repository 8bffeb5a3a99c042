import type { INestApplicationContext } from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import { hostsIn, methodsOf } from './handlers';
import { OnBehalfOfRegistry } from './on-behalf-of.registry';

/** Options of {@link documentOnBehalfOf}. */
export interface DocumentOnBehalfOfOptions {
  /** Name of the security scheme with which users log in, such as `bearer` for `addBearerAuth()`. Default: none is added. */
  readonly security?: string | undefined;
}

/** Where `@ApiExtension()` of `@nestjs/swagger` keeps what it adds to an operation. */
const EXTENSIONS = 'swagger/apiExtension';

/** Stands on the operations of decorated handlers while the document is made. */
const MARK = 'x-nestjs-medplum';

const RESPONSES: Readonly<Record<string, { readonly description: string }>> = {
  401: { description: 'Nobody is logged in.' },
  403: { description: 'The user may not do this.' },
  503: { description: 'Too many requests to the FHIR server. Try again later.' },
};

interface Operation {
  responses?: Record<string, unknown>;
  security?: unknown;
  [MARK]?: unknown;
}

/**
 * Completes a document of `@nestjs/swagger`: the operations of handlers that act for a user get the responses 401, 403 and
 * 503, and a security requirement. What a handler documents itself stays, as does a requirement of the whole document.
 *
 * @param create makes the document. It is called once.
 * @returns the document that `create` made.
 * @example
 * ```ts
 * const document = documentOnBehalfOf(app, () => SwaggerModule.createDocument(app, config), { security: 'bearer' });
 * ```
 */
export function documentOnBehalfOf<D extends { readonly paths: object }>(
  app: INestApplicationContext,
  create: () => D,
  { security }: DocumentOnBehalfOfOptions = {},
): D {
  const document = withMarks(handlersForUsers(app), create);
  const isSecured = security === undefined || 'security' in document;
  for (const item of Object.values(document.paths) as object[]) {
    for (const operation of Object.values(item) as Operation[]) {
      if (operation[MARK] === true) {
        delete operation[MARK];
        operation.responses = { ...RESPONSES, ...operation.responses };
        if (!isSecured) {
          operation.security ??= [{ [security]: [] }];
        }
      }
    }
  }
  return document;
}

/** The handlers that act for whoever sends the request. Not those that do in one controller, and not in another. */
function handlersForUsers(app: INestApplicationContext): readonly Function[] {
  const registry = app.get(OnBehalfOfRegistry, { strict: false });
  const modules = app.get(ModulesContainer, { strict: false });
  const methods = [...hostsIn(modules.values())]
    .filter(({ controller }) => controller !== undefined)
    .flatMap((host) => methodsOf(host, modules.values()))
    .filter(({ kind }) => kind === 'handler');
  const others = new Set(methods.filter(({ acting }) => !registry.actsForUser(acting)).map(({ method }) => method));
  return [...new Set(methods.map(({ method }) => method))].filter((method) => !others.has(method));
}

/** Swagger copies extensions of a method to its operations, whatever their paths, versions and ids are. */
function withMarks<T>(methods: readonly Function[], create: () => T): T {
  const before = methods.map((method) => Reflect.getOwnMetadata(EXTENSIONS, method) as object | undefined);
  methods.forEach((method, i) => Reflect.defineMetadata(EXTENSIONS, { ...before[i], [MARK]: true }, method));
  try {
    return create();
  } finally {
    methods.forEach((method, i) =>
      before[i] === undefined
        ? Reflect.deleteMetadata(EXTENSIONS, method)
        : Reflect.defineMetadata(EXTENSIONS, before[i], method),
    );
  }
}
