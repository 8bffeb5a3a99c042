import {
  AuditSinkError,
  MedplumBeforeRequestError,
  MedplumConfigError,
  MedplumConnectionError,
  MedplumProtocolError,
  MedplumRateLimitError,
  MedplumServerError,
  MedplumUnauthorizedError,
  OnBehalfOfReferenceError,
  OnBehalfOfRequiredError,
  RunOnBehalfOf,
  type MedplumModuleOptions,
} from 'nestjs-medplum';
import { PLANTED, taintedError } from '../../support/planted';
import { page, refusal, startTaintedApp } from '../../support/tainted-app';
import type { WireHandler } from '../../support/wire-server';
import { garbage, handing, type Mishap, type Mishaps, read, RESOURCE, throwing, update } from './mishap';

const { clientId, clientSecret, membership, project, record, signed, server, token, tokenEndpoint } = PLANTED;

const sink = { name: 'Sink', write: () => Promise.reject(taintedError()) };
/** Answers requests for tokens, and nothing else. */
const tokens = (handler: WireHandler): Pick<Mishap, 'handler' | 'options'> => ({
  options: { auth: 'client-credentials' },
  handler,
});
/** A class with a method that needs an instance of Nest's. */
class Unmade {
  @RunOnBehalfOf(() => membership)
  work(): void {}
}

/** Options that hold secrets in wrong places. */
const WRONG_OPTIONS = {
  'a client id that is two things': { clientId: `${clientId}:${clientSecret}` },
  'a secret that is none': { clientSecret: { secret: clientSecret } },
  'credentials in the address': { baseUrl: `https://${clientId}:${clientSecret}@medplum.example/projects/${project}/` },
  'an address that is none': { baseUrl: `${project} ${clientSecret}` },
  'a key that is a secret': { [`clientSecret=${clientSecret}`]: true },
  'a default that is no reference': { defaultOnBehalfOf: `Group/${membership}` },
  'a default that is the client itself': { defaultOnBehalfOf: `ClientApplication/${clientId}` },
  'a storage that is none': { storageOrigins: [`https://storage.example/?signature=${signed}`] },
  'a tag that is a text': { logTag: `${record}\n` },
  'an audit key that is too short': { audit: { [`${clientSecret}-4711`]: clientSecret } },
};

/** Calls that fail for a reason of the app's own. */
export const OWN: Mishaps = {
  'a read whose record a sink refuses': {
    error: AuditSinkError,
    call: read,
    options: { audit: { mode: 'require', sinks: [sink], flushTimeout: 1 } },
  },
  'a write whose record a sink refuses': {
    error: AuditSinkError,
    call: update,
    handler: handing(RESOURCE),
    options: {
      audit: {
        mode: 'require',
        flushTimeout: 1,
        sinks: [{ name: 'Sink', write: ([event]) => (event?.outcome === 'pending' ? Promise.resolve() : throwing()) }],
      },
    },
  },
  'a secret that cannot be had': { error: MedplumUnauthorizedError, call: read, options: { clientSecret: throwing } },
  'a secret that is none': {
    error: MedplumUnauthorizedError,
    call: read,
    options: { clientSecret: () => ({ secret: PLANTED.clientSecret }) as unknown as string },
  },
  'a token that is refused': { error: MedplumUnauthorizedError, call: read, ...tokens(refusal(401)) },
  'a token endpoint that fails': { error: MedplumServerError, call: read, ...tokens(page(500)) },
  'a token endpoint that is busy': { error: MedplumRateLimitError, call: read, ...tokens(refusal(429)) },
  'a token endpoint that is a page': { error: MedplumProtocolError, call: read, ...tokens(page(200)) },
  'a token that is no bearer token': {
    error: MedplumProtocolError,
    call: read,
    ...tokens(
      handing({ access_token: `${token} ${token}`, token_type: tokenEndpoint, error_description: tokenEndpoint }),
    ),
  },
  'a token endpoint that hangs up': { error: MedplumConnectionError, call: read, ...tokens(garbage) },
  'a hook that throws': { error: MedplumBeforeRequestError, call: update, options: { beforeRequest: throwing } },
  'a hook that makes another address of it': {
    error: MedplumBeforeRequestError,
    call: update,
    options: { beforeRequest: (prepared) => void (prepared.path = `https://${server}.example/${prepared.path}`) },
  },
  'a hook that sets a header of ours': {
    error: MedplumBeforeRequestError,
    call: update,
    options: { beforeRequest: (prepared) => void (prepared.headers['authorization'] = `Bearer ${token}`) },
  },
  'a call for nobody': { error: OnBehalfOfRequiredError, call: (m) => m.readResource('Patient', record) },
  'a function bound to nobody': { error: OnBehalfOfRequiredError, call: (m) => m.bind(throwing) },
  'a scope of nobody known': {
    error: OnBehalfOfReferenceError,
    call: (m) => m.onBehalfOf(`Group/${membership}`, () => undefined),
  },
  'a service of two people': {
    error: OnBehalfOfReferenceError,
    call: (m) => m.actingAs(`${membership},${membership}`),
  },
  'a decorator on what Nest has not made': { error: MedplumConfigError, call: () => new Unmade().work() },
  ...Object.fromEntries(
    Object.entries(WRONG_OPTIONS).map(([name, options]) => [
      `options with ${name}`,
      { error: MedplumConfigError, call: () => startTaintedApp(options as Partial<MedplumModuleOptions>) },
    ]),
  ),
};
