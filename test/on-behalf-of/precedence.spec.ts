import * as fc from 'fast-check';
import { Logger } from '@nestjs/common';
import {
  isMedplumError,
  MedplumBadRequestError,
  type MedplumRequestOptions,
  OnBehalfOfReferenceError,
  OnBehalfOfRequiredError,
} from 'nestjs-medplum';
import { type MedplumApp, startMedplumApp } from '../support/medplum-app';

let app: MedplumApp;

afterEach(async () => {
  await app?.close();
});

describe('The identity of a call: its option, else the scope, else the default, else nobody', () => {
  it('is the first of them that is set', async () => {
    app = await startMedplumApp({ defaultOnBehalfOf: 'default' });
    const { medplum, wire } = app;
    await medplum.readResource('Patient', '1');
    await medplum.onBehalfOf('scope', () => medplum.readResource('Patient', '1'));
    await medplum.onBehalfOf('scope', () => medplum.readResource('Patient', '1', { onBehalfOf: 'call' }));
    await medplum.onBehalfOf('scope', () => medplum.readResource('Patient', '1', { onBehalfOf: '' }));
    expect(wire.identities).toEqual([
      'ProjectMembership/default',
      'ProjectMembership/scope',
      'ProjectMembership/call',
      undefined,
    ]);
    expect(app.events.map((event) => event.identitySource)).toEqual(['default', 'scope', 'call', 'cleared']);
  });

  it('follows that order in every combination', async () => {
    app = await startMedplumApp();
    const { medplum, wire } = app;
    const someone = fc.option(fc.constantFrom('a', 'b', 'c'), { nil: undefined });
    await fc.assert(
      fc.asyncProperty(
        someone,
        someone,
        fc.option(fc.constantFrom('', 'd'), { nil: undefined }),
        async (fallback, scope, call) => {
          const service = fallback === undefined ? medplum : medplum.actingAs(fallback);
          const options: MedplumRequestOptions = call === undefined ? {} : { onBehalfOf: call };
          const read = () => service.readResource('Patient', '1', options);
          const before = wire.requests.length;
          const result = await (scope === undefined ? read() : service.onBehalfOf(scope, read)).catch(
            (error: unknown) => error,
          );
          const expected = call ?? scope ?? fallback;
          expect(result instanceof OnBehalfOfRequiredError).toBe(expected === undefined);
          const sent = expected === '' ? [undefined] : [`ProjectMembership/${expected}`];
          expect(wire.identities.slice(before)).toEqual(expected === undefined ? [] : sent);
        },
      ),
    );
  });

  it('refuses a call without an identity before anything is sent, and publishes its event', async () => {
    app = await startMedplumApp();
    const { medplum, wire, events } = app;
    await expect(medplum.readResource('Patient', '1')).rejects.toThrow(OnBehalfOfRequiredError);
    expect(wire.requests).toEqual([]);
    expect(events).toHaveLength(1);
    expect(events[0]).toMatchObject({ outcome: 'refused', effect: 'none', attempts: [], action: 'read' });
  });

  it.each([
    ['undefined', { onBehalfOf: undefined }],
    ['null', { onBehalfOf: null }],
    ['a comma', { onBehalfOf: 'Practitioner/a,Practitioner/b' }],
    ['a blank', { onBehalfOf: ' ' }],
    ['CR/LF', { onBehalfOf: 'ProjectMembership/a\r\nauthorization: x' }],
    ['the client itself', { onBehalfOf: 'ClientApplication/client-1' }],
  ])('refuses a call whose identity is %s, whatever the scope says', async (_what, options) => {
    app = await startMedplumApp({ defaultOnBehalfOf: 'default' });
    const { medplum, wire } = app;
    const call = () => medplum.readResource('Patient', '1', options as MedplumRequestOptions);
    await expect(medplum.onBehalfOf('scope', call)).rejects.toThrow(OnBehalfOfReferenceError);
    expect(wire.requests).toEqual([]);
  });

  it.each(['X-Medplum-On-Behalf-Of', 'x-MEDPLUM-on-behalf-of', 'AUTHORIZATION', 'x-medplum'])(
    'refuses the header %s from the caller',
    async (name) => {
      app = await startMedplumApp();
      const call = app.medplum.readResource('Patient', '1', {
        onBehalfOf: 'a',
        headers: { [name]: 'ProjectMembership/b' },
      });
      await expect(call).rejects.toThrow(MedplumBadRequestError);
      expect(app.wire.requests).toEqual([]);
    },
  );

  it('refuses an unknown option, because it may be a misspelt identity', async () => {
    app = await startMedplumApp({ defaultOnBehalfOf: 'default' });
    const options = { onbehalfOf: 'a' } as MedplumRequestOptions;
    await expect(app.medplum.readResource('Patient', '1', options)).rejects.toThrow(/onbehalfOf is not an option/);
    expect(app.wire.requests).toEqual([]);
  });

  it('is never cleared by an empty scope, default or actingAs()', async () => {
    app = await startMedplumApp();
    const { medplum } = app;
    const fn = jest.fn();
    expect(() => medplum.onBehalfOf('', fn)).toThrow(OnBehalfOfReferenceError);
    expect(() => medplum.onBehalfOf(undefined as unknown as string, fn)).toThrow(OnBehalfOfReferenceError);
    expect(() => medplum.actingAs('')).toThrow(OnBehalfOfReferenceError);
    expect(fn).not.toHaveBeenCalled();
    for (const defaultOnBehalfOf of ['', undefined, 'Organization/a']) {
      await expect(startMedplumApp({ defaultOnBehalfOf })).rejects.toThrow(/defaultOnBehalfOf/);
    }
  });

  it('cannot be cleared with an empty option when allowEmptyClear is false', async () => {
    app = await startMedplumApp({ allowEmptyClear: false });
    const { medplum, wire } = app;
    await expect(medplum.readResource('Patient', '1', { onBehalfOf: '' })).rejects.toThrow(OnBehalfOfRequiredError);
    expect(wire.requests).toEqual([]);
    await medplum.asClientApplication(() => medplum.readResource('Patient', '1'));
    expect(wire.identities).toEqual([undefined]);
  });

  it('is the client itself where the code asks for that, and the event says why', async () => {
    app = await startMedplumApp({ defaultOnBehalfOf: 'default' });
    const { medplum, wire, events } = app;
    await medplum.onBehalfOf('scope', () =>
      medplum.asClientApplication(() => medplum.readResource('Patient', '1'), { reason: 'nightly count' }),
    );
    expect(wire.identities).toEqual([undefined]);
    expect(events[0]).toMatchObject({ identitySource: 'client-application', reason: 'nightly count' });
  });

  it('may be missing with requireOnBehalfOf: false, and the log says so once', async () => {
    const warn = jest.spyOn(Logger.prototype, 'warn').mockImplementation();
    app = await startMedplumApp({ requireOnBehalfOf: false });
    await app.medplum.readResource('Patient', '1');
    await app.medplum.readResource('Patient', '1');
    expect(app.wire.identities).toEqual([undefined, undefined]);
    expect(app.events.map((event) => event.identitySource)).toEqual(['lenient', 'lenient']);
    expect(warn.mock.calls.filter(([text]) => String(text).includes('requireOnBehalfOf'))).toHaveLength(1);
    warn.mockRestore();
  });
});

describe('actingAs()', () => {
  it('ignores the scopes around it, and they ignore it', async () => {
    app = await startMedplumApp();
    const { medplum, wire } = app;
    const job = medplum.actingAs('job');
    await medplum.onBehalfOf('request', async () => {
      await job.readResource('Patient', '1');
      await job.onBehalfOf('inner', () => medplum.readResource('Patient', '1'));
      expect([medplum.currentOnBehalfOf, job.currentOnBehalfOf]).toEqual([
        'ProjectMembership/request',
        'ProjectMembership/job',
      ]);
    });
    expect(wire.identities).toEqual(['ProjectMembership/job', 'ProjectMembership/request']);
    expect(medplum.currentOnBehalfOf).toBeUndefined();
  });
});

it('gives every refusal the brand and the form of a MedplumError', async () => {
  app = await startMedplumApp();
  const error: unknown = await app.medplum.readResource('Patient', '1').catch((reason: unknown) => reason);
  expect(isMedplumError(error)).toBe(true);
  expect(error).toMatchObject({ code: 'MEDPLUM_ON_BEHALF_OF_REQUIRED', effect: 'none', retryable: false });
});
