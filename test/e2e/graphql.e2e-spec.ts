import { EventEmitter } from 'node:events';
import { Injectable, Logger, SetMetadata } from '@nestjs/common';
import { ExternalContextCreator } from '@nestjs/core';
import { fromUser, MedplumService, OnBehalfOf } from 'nestjs-medplum';
import { type MedplumApp, startMedplumApp } from '../support/medplum-app';
import { seededRandom } from '../support/seeded-random';
import { resourceAsked, type WireRequest } from '../support/wire-server';

/** As `@Query()` of @nestjs/graphql does it. */
const Query = () => SetMetadata('graphql:resolver_type', 'Query');

/** Resolvers, called as @nestjs/graphql does it: `(root, args, context, info)` through Nest's external contexts. */
@Injectable()
class ChartResolver {
  constructor(private readonly medplum: MedplumService) {}

  @Query()
  @OnBehalfOf(fromUser('membership'))
  async patient(_root: unknown, { id }: { id: string }) {
    await this.medplum.readResource('Patient', id);
    return this.medplum.currentOnBehalfOf;
  }

  @Query()
  @OnBehalfOf('Practitioner/scheduler')
  async appointments(_root: unknown, { id }: { id: string }) {
    await this.medplum.readResource('Appointment', id);
    return this.medplum.currentOnBehalfOf;
  }
}

const random = seededRandom();
const handler = (request: WireRequest) => ({ delay: random() * 5, body: resourceAsked(request) });

describe('Two resolvers of one GraphQL query', () => {
  let app: MedplumApp;

  const resolver = (name: 'patient' | 'appointments') => {
    const instance = app.module.get(ChartResolver);
    const create = app.module.get(ExternalContextCreator, { strict: false });
    return create.create(
      instance,
      instance[name] as (...args: unknown[]) => unknown,
      name,
      undefined,
      undefined,
      undefined,
      undefined,
      undefined,
      'graphql',
    ) as (...args: unknown[]) => Promise<unknown>;
  };

  beforeEach(async () => {
    jest.spyOn(Logger.prototype, 'warn').mockImplementation();
    app = await startMedplumApp({ abortOnDisconnect: true }, { providers: [ChartResolver], handler });
  });

  afterEach(async () => {
    jest.restoreAllMocks();
    await app.close();
  });

  it('share the request and its context, but never an identity', async () => {
    const context = { req: { user: { membership: 'ann' } } };
    const [patient, appointments] = [resolver('patient'), resolver('appointments')];
    const calls = Array.from({ length: 20 }, (_, n) =>
      (n % 2 === 0 ? patient : appointments)({}, { id: String(n) }, context, {}),
    );
    expect(await Promise.all(calls)).toEqual(
      calls.map((_, n) => (n % 2 === 0 ? 'ProjectMembership/ann' : 'Practitioner/scheduler')),
    );
    for (const { path, onBehalfOf } of app.wire.requests) {
      expect(onBehalfOf).toBe(path.includes('Patient') ? 'ProjectMembership/ann' : 'Practitioner/scheduler');
    }
  });

  it('pass on the trace of the HTTP request, and end their reads when its client disconnects', async () => {
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const res = Object.assign(new EventEmitter(), { writableEnded: false });
    const context = { req: { user: { membership: 'ann' }, headers: { traceparent } }, res };
    app.wire.handler = () => void res.emit('close');
    await expect(resolver('patient')({}, { id: '1' }, context, {})).rejects.toMatchObject({
      message: 'The FHIR server did not answer in time.',
      extensions: { code: 'GATEWAY_TIMEOUT', http: { status: 504 } },
    });
    expect(app.wire.requests).toMatchObject([{ headers: { traceparent } }]);
  });

  it('forbid caching, because a query may come by GET', async () => {
    const header = jest.fn();
    const reply = { header, getHeader: () => undefined };
    await resolver('patient')({}, { id: '1' }, { req: { user: { membership: 'ann' } }, reply }, {});
    expect(header.mock.calls).toEqual([['cache-control', 'private, no-store']]);
    const sent = { ...reply, headersSent: true };
    await resolver('patient')({}, { id: '1' }, { req: { user: { membership: 'ann' } }, res: sent }, {});
    expect(header).toHaveBeenCalledTimes(1);
  });

  it('refuse a query without an identity', async () => {
    const patient = resolver('patient');
    await expect(patient({}, { id: '1' }, { req: {} }, {})).rejects.toMatchObject({ status: 401 });
    await expect(patient({}, { id: '1' }, { req: { user: {} } }, {})).rejects.toMatchObject({ status: 403 });
    expect(app.wire.requests).toEqual([]);
  });
});
