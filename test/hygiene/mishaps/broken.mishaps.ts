import {
  MedplumAbortError,
  MedplumConnectionError,
  MedplumContentTooLargeError,
  type MedplumDispatcher,
  type MedplumModuleOptions,
  MedplumProtocolError,
  type MedplumService,
  MedplumOverloadError,
  MedplumTimeoutError,
  MedplumTlsError,
} from 'nestjs-medplum';
import { collect } from '../../support/collect';
import { PLANTED, taintedError } from '../../support/planted';
import { FOR_SOMEBODY } from '../../support/tainted-app';
import { FAULTS } from '../../support/wire-faults';
import type { WireHandler } from '../../support/wire-server';
import { garbage, type Mishaps, read, throwing, update } from './mishap';

const { body, record, server } = PLANTED;
const who = FOR_SOMEBODY;

const download = async (medplum: MedplumService) =>
  collect((await medplum.binaries.download(record, { ...who, maxBytes: 40, timeout: 300 })).stream);
/** Aborts a call with a reason that must not leak. */
const aborted = (medplum: MedplumService) =>
  medplum.readResource('Patient', record, { ...who, signal: AbortSignal.abort(taintedError()) });
const abortedUnderWay = (medplum: MedplumService) => {
  const controller = new AbortController();
  setImmediate(() => controller.abort(taintedError()));
  return medplum.readResource('Patient', record, { ...who, signal: controller.signal });
};

/** Options with a dispatcher of the app that rejects every request with `failure`. */
const failing = (failure: unknown): Partial<MedplumModuleOptions> => {
  const dispatcher: MedplumDispatcher = { request: () => Promise.reject(failure) };
  return { dispatcher };
};
const tooMuch: WireHandler = () => ({ body: `${record} `.repeat(1_000) });

/** Calls without a response, or with only a part of one. */
export const BROKEN: Mishaps = {
  'a connection that breaks': { error: MedplumConnectionError, call: update, handler: FAULTS['reset before headers'] },
  'a response that is cut off': { error: MedplumProtocolError, call: read, handler: FAULTS['truncated body'] },
  'a response that is not HTTP': { error: MedplumConnectionError, call: read, handler: garbage },
  'a response that cannot be decompressed': {
    error: MedplumProtocolError,
    call: read,
    handler: () => ({ headers: { 'content-encoding': 'gzip' }, body: `${server} ${record}` }),
  },
  'a response that never starts': {
    error: MedplumTimeoutError,
    call: (m) => m.readResource('Patient', record, { ...who, timeout: 50 }),
    handler: FAULTS.hang,
  },
  'a response that stalls': {
    error: MedplumTimeoutError,
    call: (m) => m.readResource('Patient', record, { ...who, timeout: 200 }),
    handler: FAULTS['hang in the body'],
  },
  'a call that does not fit into the queue': {
    error: MedplumOverloadError,
    call: (m) =>
      Promise.all(Array.from({ length: 3 }, () => m.readResource('Patient', record, { ...who, timeout: 200 }))),
    handler: FAULTS.hang,
    options: { quota: { maxConcurrent: 1, maxQueued: 1 } },
  },
  'a response that is too large': {
    error: MedplumContentTooLargeError,
    call: read,
    handler: tooMuch,
    options: { maxResponseBytes: 100 },
  },
  'a download that is too large': { error: MedplumContentTooLargeError, call: download, handler: tooMuch },
  'a download that is cut off': { error: MedplumProtocolError, call: download, handler: FAULTS['truncated chunks'] },
  'a download that stalls': { error: MedplumTimeoutError, call: download, handler: FAULTS['hang in the body'] },
  'an upload whose source fails': {
    error: MedplumConnectionError,
    call: (m) =>
      m.binaries.upload(
        (async function* () {
          yield body;
          throwing();
        })(),
        { contentType: 'text/plain' },
        who,
      ),
  },
  'a call whose signal was aborted before': { error: MedplumAbortError, call: aborted },
  'a call that is aborted in flight': { error: MedplumAbortError, call: abortedUnderWay, handler: FAULTS.hang },
  'a dispatcher that fails': { error: MedplumConnectionError, call: read, options: failing(taintedError()) },
  'a dispatcher that fails with many errors': {
    error: MedplumConnectionError,
    call: read,
    options: failing(new AggregateError([taintedError()], PLANTED.thrown)),
  },
  'a certificate that is not trusted': {
    error: MedplumTlsError,
    call: read,
    options: failing(Object.assign(taintedError(), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT', cert: { subject: server } })),
  },
};
