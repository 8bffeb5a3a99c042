import type { Bundle } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { outcome, resourceAsked, type WireAnswer, type WireHandler, type WireRequest } from './wire-server';

/** What one read is answered with, whether it comes by itself or in a batch. */
export interface ReadAnswer {
  readonly status: number;
  readonly body?: object;
}

/** @param url of the read below `fhir/R4/`, with its query. */
export type ReadHandler = (url: string, user: string | undefined) => ReadAnswer;

/** The URLs of the reads in a request: those of a batch, or its own. */
export function urlsOf({ path, body }: WireRequest): string[] {
  if (path !== '/fhir/R4') {
    return [path.replace(/^\/fhir\/R4\//, '')];
  }
  return ((JSON.parse(body) as Bundle).entry ?? []).map(({ request }) => request?.url ?? '');
}

/** The answer to a read of what is not there. */
export const NOT_FOUND: ReadAnswer = { status: 404, body: outcome('not-found', 'not-found', 'Not found', false) };

/** The resource or bundle that the URL asks for. It says who asked. */
export const asked: ReadHandler = (url, user) => ({
  status: 200,
  body: { ...resourceAsked({ method: 'GET', path: `/fhir/R4/${url}` }), language: user },
});

/** Answers reads and batches of them as Medplum does (5.0.10): the outcomes of entries have no tracing extension. */
export function batchHandler(answer: ReadHandler): WireHandler {
  return (request): WireAnswer => {
    const headers = { ratelimit: '"requests";r=59998;t=60' };
    const { onBehalfOf } = request;
    if (request.path !== '/fhir/R4') {
      const { status, body } = answer(urlsOf(request)[0] ?? '', onBehalfOf);
      return { status, headers, body: status < 300 ? body : { ...outcome('', '', ''), ...body } };
    }
    const entry = urlsOf(request).map((url) => {
      const { status, body } = answer(url, onBehalfOf);
      const response = { status: String(status), outcome: status < 300 ? { resourceType: 'OperationOutcome' } : body };
      return { response, ...(status < 300 ? { resource: body } : {}) };
    });
    return { headers, body: { resourceType: 'Bundle', type: 'batch-response', entry } };
  };
}
