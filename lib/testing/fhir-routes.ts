import type { FhirRequest, HttpMethod } from '@medplum/fhir-router';
import type { Bundle } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import type { AsyncJobs } from './async-jobs';
import { binaryAnswer } from './binary-routes';
import { botAnswer } from './bot-routes';
import type { Caller } from './caller';
import { csvAnswer } from './csv-answer';
import type { Resource } from './emulator.types';
import { fail } from './outcome-error';
import { errorAnswer, outcomeAnswer, readBody, requireCaller, type Answer, type Exchange } from './exchange';
import { addOperations, unknownOperation } from './fhir-operations';
import { EmulatorRouter } from './emulator-router';
import { core } from './medplum-peers';
import { publicAnswer } from './public-answers';
import type { EmulatorRepository } from './repository';
import { resourceAnswer } from './resource-answer';
import type { StorageUrls } from './storage-urls';

/** It has no state, so all emulators share it. */
const router = new EmulatorRouter({ introspectionEnabled: true });
addOperations(router);

/** The routes under `/fhir/R4`. */
export class FhirRoutes {
  constructor(
    private readonly storage: StorageUrls,
    private readonly jobs: AsyncJobs,
  ) {}

  /** @param path what follows `/fhir/R4`, without the query: `''` or `/Patient/123` */
  async answer(exchange: Exchange, path: string): Promise<Answer> {
    const answer = await this.dispatch(exchange, path).catch((error: unknown) => errorAnswer(error, exchange));
    // `return=minimal` empties every body, even that of an error.
    const { body: _body, ...bodyless } = answer;
    return exchange.headers.prefer === 'return=minimal' ? bodyless : answer;
  }

  private async dispatch(exchange: Exchange, path: string): Promise<Answer> {
    const { state } = exchange;
    const open = publicAnswer(exchange, `/fhir/R4${path}`);
    if (open) {
      return open;
    }
    const binary = await binaryAnswer(exchange, path, this.storage);
    if (binary) {
      return binary;
    }
    const body = await readBody(exchange);
    const caller = requireCaller(exchange);
    const repository = state.repository(caller, exchange.extended);
    return (
      (await this.jobs.answer(exchange, repository, path)) ??
      (await botAnswer(exchange, repository, path, caller, body)) ??
      (await csvRoute(exchange, repository, path)) ??
      (await this.operationAnswer(exchange, path, caller, body)) ??
      this.routerAnswer(exchange, path, this.request(exchange, path, caller, body), repository)
    );
  }

  /** Handles what the router does not know: asynchronous bundles, exports, and operations that do not exist. */
  private async operationAnswer(
    exchange: Exchange,
    path: string,
    caller: Caller,
    body: unknown,
  ): Promise<Answer | undefined> {
    const { method, headers, state } = exchange;
    if (method === 'POST' && path === '' && headers.prefer === 'respond-async') {
      const request = this.request(exchange, path, caller, body);
      if ((body as Partial<Bundle>).type === 'transaction' && request.config?.transactions) {
        fail(core.badRequest('Transaction bundles cannot be processed asynchronously'));
      }
      return this.jobs.acceptBundle(exchange, caller, async (repository) => {
        const [outcome, resource] = await router.handleRequest(request, repository);
        return resource ?? outcome;
      });
    }
    if (/^(\/Patient|\/Group\/[^/]+)?\/\$export$/.test(path)) {
      const types = new URLSearchParams(exchange.query).get('_type')?.split(',') ?? state.store.types();
      return this.jobs.acceptExport(exchange, caller, types);
    }
    if (/^\/\$[^/]+$/.test(path) && isUnknownSystemOperation(path, method)) {
      const found = (body as Partial<Resource> | undefined)?.resourceType ?? '<EMPTY>';
      fail(
        method === 'POST'
          ? core.badRequest(`Incorrect resource type: expected ${path.slice(1)}, but found ${found}`)
          : core.validationError('Unknown resource type'),
      );
    }
    if (isOperation(path) && router.find(method as HttpMethod, path)?.data?.interaction !== 'operation') {
      return unknownOperation(caller.policy.allows('search', 'OperationDefinition'));
    }
    return undefined;
  }

  private async routerAnswer(
    exchange: Exchange,
    path: string,
    request: FhirRequest,
    repository: EmulatorRepository,
  ): Promise<Answer> {
    const [outcome, resource, options] = await router.handleRequest(request, repository);
    if (core.isNotFound(outcome) && isOperation(path)) {
      return unknownOperation(requireCaller(exchange).policy.allows('search', 'OperationDefinition'));
    }
    if (!core.isOk(outcome) || !resource) {
      return outcomeAnswer(outcome, exchange);
    }
    return resourceAnswer(exchange, this.storage, core.getStatus(outcome), resource, options?.contentType);
  }

  private request(exchange: Exchange, path: string, caller: Caller, body: unknown): FhirRequest {
    const { state, method, query } = exchange;
    const headers = { ...exchange.headers };
    const stripped = method === 'GET' ? body : this.storage.strip(body);
    if (state.serverVersion === '5.0') {
      // The recorded server honours If-Match only on a plain PUT.
      if (method !== 'PUT' || !path.slice(1).includes('/')) {
        delete headers['if-match'];
      }
      if (method === 'PATCH' && !Array.isArray(stripped)) {
        fail(core.badRequest('Patch body must be an array'));
      }
      ignoreEntryIfMatch(stripped);
    }
    const features = state.project(caller.project)?.features ?? [];
    return {
      method: method as HttpMethod,
      url: query ? `${path}?${query}` : path,
      pathname: '',
      params: {},
      query: {},
      headers,
      body: stripped,
      config: { transactions: (features as string[]).includes('transaction-bundles') },
    };
  }
}

function isOperation(path: string): boolean {
  return /\/\$[^/]+$/.test(path);
}

/** Removes `ifMatch` from the entries of a bundle, except from plain updates. The recorded server honours it only there. */
function ignoreEntryIfMatch(body: unknown): void {
  const { resourceType, entry } = (body ?? {}) as Partial<Bundle>;
  if (resourceType !== 'Bundle' || !Array.isArray(entry)) {
    return;
  }
  for (const element of entry) {
    const request = element.request;
    if (request?.ifMatch && (request.method !== 'PUT' || request.url?.includes('?'))) {
      delete request.ifMatch;
    }
  }
}

/** The server takes the name of an unknown system operation for a resource type. */
function isUnknownSystemOperation(path: string, method: string): boolean {
  return ['GET', 'POST'].includes(method) && router.find(method as HttpMethod, path)?.data?.interaction !== 'operation';
}

function csvRoute(
  { method, query }: Exchange,
  repository: EmulatorRepository,
  path: string,
): Promise<Answer> | undefined {
  const [, resourceType] = /^\/([^/]+)\/(?:\$|%24)csv$/.exec(path) ?? [];
  return resourceType && method === 'GET' ? csvAnswer(repository, resourceType, query) : undefined;
}
