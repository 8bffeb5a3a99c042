import type { Patient } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import {
  MedplumBadRequestError,
  MedplumConflictError,
  MedplumForbiddenError,
  MedplumGoneError,
  MedplumGraphqlError,
  MedplumNotFoundError,
  MedplumNotModifiedError,
  MedplumPreconditionFailedError,
  MedplumProtocolError,
  MedplumRateLimitError,
  MedplumServerError,
  type MedplumService,
  MedplumTimeoutError,
  MedplumTransactionError,
  MedplumUnauthorizedError,
  OnBehalfOfRejectedError,
  UnknownEffectError,
} from 'nestjs-medplum';
import { collect } from '../../support/collect';
import { PLANTED } from '../../support/planted';
import { FOR_SOMEBODY, page, refusal } from '../../support/tainted-app';
import type { WireHandler } from '../../support/wire-server';
import { type Mishaps, RESOURCE, handing, read, search, update } from './mishap';

const { body, membership, query, record, server, signed, version } = PLANTED;
const who = FOR_SOMEBODY;

const IDENTIFIED: Patient = { resourceType: 'Patient', identifier: [{ system: 'http://a', value: query }] };
const createOnce = (medplum: MedplumService) =>
  medplum.createResourceIfNoneExist(IDENTIFIED, { identifier: `http://a|${query}` }, who);

const firstThen = (...handlers: WireHandler[]): WireHandler => {
  const left = [...handlers];
  return (request, response) => (left.shift() ?? handlers[0] ?? refusal(500))(request, response);
};

const BY_STATUS = {
  304: MedplumProtocolError,
  301: MedplumProtocolError,
  400: MedplumBadRequestError,
  401: MedplumUnauthorizedError,
  403: MedplumForbiddenError,
  404: MedplumNotFoundError,
  409: MedplumConflictError,
  410: MedplumGoneError,
  412: MedplumPreconditionFailedError,
  422: MedplumBadRequestError,
  429: MedplumRateLimitError,
  500: MedplumServerError,
  503: MedplumServerError,
};

/** Calls that fail because of the response of the server, or of a proxy in front of it. */
export const ANSWERED: Mishaps = {
  ...Object.fromEntries(
    Object.entries(BY_STATUS).flatMap(([status, error]) => [
      [`a read with the status ${status}`, { error, call: read, handler: refusal(Number(status)) }],
      [`a search with the status ${status}`, { error, call: search, handler: refusal(Number(status)) }],
      [`an update with the status ${status}`, { error, call: update, handler: refusal(Number(status)) }],
    ]),
  ),
  'an identity that the server refuses': { error: OnBehalfOfRejectedError, call: read, handler: refusal(403, false) },
  'an HTML page with the status 404': { error: MedplumProtocolError, call: read, handler: page(404) },
  'an HTML page with the status 502': { error: MedplumServerError, call: read, handler: page(502) },
  'an HTML page with the status 200': { error: MedplumProtocolError, call: read, handler: page(200) },
  'a response with incomplete JSON': {
    error: MedplumProtocolError,
    call: read,
    handler: handing(`{"id": "${record}", `),
  },
  'a response that is not an object': { error: MedplumProtocolError, call: read, handler: handing([record]) },
  'a conditional read of an unchanged resource': {
    error: MedplumNotModifiedError,
    call: (m) => m.readResource('Patient', record, { ...who, headers: { 'if-none-match': `W/"${version}"` } }),
    handler: refusal(304),
  },
  'a write with an unknown effect': {
    error: UnknownEffectError,
    call: createOnce,
    handler: firstThen(refusal(503), refusal(412)),
    options: { retry: { maxRetries: 1, minTimeout: 1 } },
  },
  'a transaction with a failed entry': {
    error: MedplumTransactionError,
    call: (m) =>
      m.executeTransaction([{ request: { method: 'PUT', url: `Patient/${record}` }, resource: RESOURCE }], who),
    handler: handing({
      resourceType: 'Bundle',
      entry: [
        { response: { status: '400', location: `Patient/${record}`, outcome: { issue: [{ diagnostics: server }] } } },
      ],
    }),
  },
  'GraphQL with errors in the response': {
    error: MedplumGraphqlError,
    call: (m) => m.graphql(`{ Patient(id: "${query}") { id } }`, { ...who, variables: { a: body } }),
    handler: handing({ data: { Patient: { id: record } }, errors: [{ message: server, path: [record] }] }),
  },
  'a search whose next page is on another server': {
    error: MedplumProtocolError,
    call: (m) => collect(m.iterateResources('Patient', { name: query }, who)),
    handler: handing({
      resourceType: 'Bundle',
      link: [{ relation: 'next', url: `https://${server}.example/${record}` }],
    }),
  },
  'an attachment on another server': {
    error: MedplumProtocolError,
    call: (m) => m.binaries.downloadAttachment(`DocumentReference/${record}`, 'content[0].attachment', who),
    handler: handing({
      resourceType: 'DocumentReference',
      content: [{ attachment: { url: `https://storage.example/${record}?signature=${signed}` } }],
    }),
  },
  'an attachment whose signature the storage refuses': {
    error: MedplumProtocolError,
    call: (m) => m.binaries.downloadAttachment(`DocumentReference/${record}`, 'content[0].attachment', who),
    handler: (request) =>
      request.path.startsWith('/storage')
        ? { status: 403, headers: { 'content-type': 'application/xml' }, body: `<Key>${record}</Key><A>${signed}</A>` }
        : {
            body: {
              resourceType: 'DocumentReference',
              content: [
                { attachment: { url: `http://${request.headers.host}/storage/${record}?signature=${signed}` } },
              ],
            },
          },
  },
  'an attachment with data that is not text': {
    error: MedplumProtocolError,
    call: (m) => m.binaries.downloadAttachment(`DocumentReference/${record}`, 'content[0].attachment', who),
    handler: handing({ resourceType: 'DocumentReference', content: [{ attachment: { data: { [record]: server } } }] }),
  },
  'an attachment without content': {
    error: MedplumBadRequestError,
    call: (m) => m.binaries.downloadAttachment(`DocumentReference/${record}`, 'content[0].attachment', who),
    handler: handing({ resourceType: 'DocumentReference', id: record, content: [{ title: server }] }),
  },
  'a job that does not end': {
    error: MedplumTimeoutError,
    call: (m) => m.bulk.waitForJob(record, { ...who, maxWait: 1, interval: 5 }),
    handler: handing({ resourceType: 'AsyncJob', id: record, status: 'active', request: server }),
  },
  'an inactive membership': {
    error: OnBehalfOfRejectedError,
    call: read,
    handler: handing({ resourceType: 'ProjectMembership', id: membership, active: false, userName: server }),
    options: { membershipCheck: true },
  },
};
