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

/** Calls that the server, or what is before it, ends. */
export const ANSWERED: Mishaps = {
  ...Object.fromEntries(
    Object.entries(BY_STATUS).flatMap(([status, error]) => [
      [`a read that is answered with ${status}`, { error, call: read, handler: refusal(Number(status)) }],
      [`a search that is answered with ${status}`, { error, call: search, handler: refusal(Number(status)) }],
      [`an update that is answered with ${status}`, { error, call: update, handler: refusal(Number(status)) }],
    ]),
  ),
  'an identity that is refused': { error: OnBehalfOfRejectedError, call: read, handler: refusal(403, false) },
  'a 404 that is a page': { error: MedplumProtocolError, call: read, handler: page(404) },
  'a 502 that is a page': { error: MedplumServerError, call: read, handler: page(502) },
  'an answer that is a page': { error: MedplumProtocolError, call: read, handler: page(200) },
  'an answer that is no whole JSON': {
    error: MedplumProtocolError,
    call: read,
    handler: handing(`{"id": "${record}", `),
  },
  'an answer that is no object': { error: MedplumProtocolError, call: read, handler: handing([record]) },
  'a read that has not changed': {
    error: MedplumNotModifiedError,
    call: (m) => m.readResource('Patient', record, { ...who, headers: { 'if-none-match': `W/"${version}"` } }),
    handler: refusal(304),
  },
  'a write of unknown fate': {
    error: UnknownEffectError,
    call: createOnce,
    handler: firstThen(refusal(503), refusal(412)),
    options: { retry: { maxRetries: 1, minTimeout: 1 } },
  },
  'a transaction that is no transaction': {
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
  'GraphQL that was not granted': {
    error: MedplumGraphqlError,
    call: (m) => m.graphql(`{ Patient(id: "${query}") { id } }`, { ...who, variables: { a: body } }),
    handler: handing({ data: { Patient: { id: record } }, errors: [{ message: server, path: [record] }] }),
  },
  'the pages of a search that lead away': {
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
  'an attachment whose signature is refused': {
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
  'an attachment whose content is no text': {
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
  'a membership that is inactive': {
    error: OnBehalfOfRejectedError,
    call: read,
    handler: handing({ resourceType: 'ProjectMembership', id: membership, active: false, userName: server }),
    options: { membershipCheck: true },
  },
};
