import {
  AuditSinkError,
  DelegationError,
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
  MemoryStore,
} from 'nestjs-medplum';
import { PLANTED, taintedError } from '../../support/planted';
import { page, refusal, startTaintedApp } from '../../support/tainted-app';
import type { WireHandler } from '../../support/wire-server';
import { garbage, handing, type Mishap, type Mishaps, read, RESOURCE, throwing, update } from './mishap';

const { clientId, clientSecret, membership, project, record, signed, server, token, tokenEndpoint } = PLANTED;

const sink = { name: 'Sink', write: () => Promise.reject(taintedError()) };
/** A client with access tokens, whose server handles only requests for tokens. */
const tokens = (handler: WireHandler): Pick<Mishap, 'handler' | 'options'> => ({
  options: { auth: 'client-credentials' },
  handler,
});
/** Names and keys that are planted. */
const DELEGATION = { keys: [{ kid: 'k1', secret: clientSecret.repeat(2) }], audience: server, realm: project };
/** A class with a decorated method, which works only on instances that Nest created. */
class Unmade {
  @RunOnBehalfOf(() => membership)
  work(): void {}
}

/** Invalid options that contain secrets. */
const WRONG_OPTIONS = {
  'a client id that contains a colon': { clientId: `${clientId}:${clientSecret}` },
  'a secret that is not text': { clientSecret: { secret: clientSecret } },
  'credentials in the base URL': {
    baseUrl: `https://${clientId}:${clientSecret}@medplum.example/projects/${project}/`,
  },
  'a base URL that ends in a path of the API': {
    baseUrl: `https://medplum.example/projects/${project}/fhir/R4/Patient/${record}`,
  },
  'an invalid base URL': { baseUrl: `${project} ${clientSecret}` },
  'a secret as a key': { [`clientSecret=${clientSecret}`]: true },
  'an invalid default identity': { defaultOnBehalfOf: `Group/${membership}` },
  'the client itself as the default identity': { defaultOnBehalfOf: `ClientApplication/${clientId}` },
  'an invalid storage origin': { storageOrigins: [`https://storage.example/?signature=${signed}`] },
  'an invalid log tag': { logTag: `${record}\n` },
  'a delegation key that is too short': { delegation: { keys: [{ kid: 'k1', secret: clientSecret }] } },
  'a delegation key with a secret as its id': { delegation: { keys: [{ kid: `${clientSecret} `, secret: token }] } },
  'an unknown audit option': { audit: { [`${clientSecret}-4711`]: clientSecret } },
};

/** Calls that fail because of the app's own code or configuration. */
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
  'a secret function that throws': { error: MedplumUnauthorizedError, call: read, options: { clientSecret: throwing } },
  'a secret function that returns no text': {
    error: MedplumUnauthorizedError,
    call: read,
    options: { clientSecret: () => ({ secret: PLANTED.clientSecret }) as unknown as string },
  },
  'a refused token request': { error: MedplumUnauthorizedError, call: read, ...tokens(refusal(401)) },
  'a token endpoint that fails': { error: MedplumServerError, call: read, ...tokens(page(500)) },
  'a token endpoint that is busy': { error: MedplumRateLimitError, call: read, ...tokens(refusal(429)) },
  'a token endpoint that sends an HTML page': { error: MedplumProtocolError, call: read, ...tokens(page(200)) },
  'a token that is not a bearer token': {
    error: MedplumProtocolError,
    call: read,
    ...tokens(
      handing({ access_token: `${token} ${token}`, token_type: tokenEndpoint, error_description: tokenEndpoint }),
    ),
  },
  'a token endpoint that sends no HTTP': { error: MedplumConnectionError, call: read, ...tokens(garbage) },
  'a beforeRequest hook that throws': {
    error: MedplumBeforeRequestError,
    call: update,
    options: { beforeRequest: throwing },
  },
  'a beforeRequest hook that sets another origin': {
    error: MedplumBeforeRequestError,
    call: update,
    options: { beforeRequest: (prepared) => void (prepared.path = `https://${server}.example/${prepared.path}`) },
  },
  'a beforeRequest hook that sets a reserved header': {
    error: MedplumBeforeRequestError,
    call: update,
    options: { beforeRequest: (prepared) => void (prepared.headers['authorization'] = `Bearer ${token}`) },
  },
  'a call without an identity': { error: OnBehalfOfRequiredError, call: (m) => m.readResource('Patient', record) },
  'bind() without an identity': { error: OnBehalfOfRequiredError, call: (m) => m.bind(throwing) },
  'a delegation that somebody forged': {
    error: DelegationError,
    call: (m) => m.runDelegated(`${record}.${token}.${server}`, throwing),
    options: { delegation: DELEGATION },
  },
  'a delegation that is used twice': {
    error: DelegationError,
    call: async (m) => {
      const one = await m.onBehalfOf(membership, () => m.delegate({ audience: server, expiresIn: 60_000 }));
      await m.runDelegated(one, () => undefined);
      return m.runDelegated(one, () => undefined);
    },
    options: { delegation: DELEGATION },
  },
  'a delegation for another job': {
    error: DelegationError,
    call: async (m) => {
      const options = { audience: server, expiresIn: 60_000, jobId: record };
      return m.runDelegated(await m.onBehalfOf(membership, () => m.delegate(options)), throwing);
    },
    options: { delegation: DELEGATION },
  },
  'a delegation whose store fails': {
    error: DelegationError,
    call: async (m) =>
      m.runDelegated(
        await m.onBehalfOf(membership, () => m.delegate({ audience: server, expiresIn: 60_000 })),
        throwing,
      ),
    options: { delegation: DELEGATION, store: Object.assign(new MemoryStore(), { add: throwing }) },
  },
  'a delegation of the client itself': {
    error: OnBehalfOfRequiredError,
    call: (m) => m.asClientApplication(() => m.delegate({ audience: server, expiresIn: 60_000 })),
    options: { delegation: DELEGATION },
  },
  'a scope with an invalid identity': {
    error: OnBehalfOfReferenceError,
    call: (m) => m.onBehalfOf(`Group/${membership}`, () => undefined),
  },
  'actingAs() with two identities': {
    error: OnBehalfOfReferenceError,
    call: (m) => m.actingAs(`${membership},${membership}`),
  },
  'a decorated method of an object that Nest did not create': {
    error: MedplumConfigError,
    call: () => new Unmade().work(),
  },
  ...Object.fromEntries(
    Object.entries(WRONG_OPTIONS).map(([name, options]) => [
      `options with ${name}`,
      { error: MedplumConfigError, call: () => startTaintedApp(options as Partial<MedplumModuleOptions>) },
    ]),
  ),
};
