import { MedplumNotModifiedError, MedplumProtocolError } from 'nestjs-medplum';
import { failureOf } from '../support/failure-of';
import { type MedplumApp, startMedplumApp } from '../support/medplum-app';
import { outcome } from '../support/wire-server';

const onBehalfOf = 'm-1';
const NOT_MODIFIED = { status: 304, headers: { etag: 'W/"7"' } };

let app: MedplumApp;

beforeEach(async () => (app = await startMedplumApp({ retry: { minTimeout: 1 } }, { handler: () => NOT_MODIFIED })));
afterEach(() => app.close());

describe('A 304', () => {
  it.each([
    ['If-None-Match', 'W/"7"'],
    ['If-Modified-Since', 'Sat, 21 Nov 2026 07:00:00 GMT'],
  ])('is an error of its own for a read with %s', async (name, value) => {
    const error = await failureOf(app.medplum.readResource('Patient', '1', { onBehalfOf, headers: { [name]: value } }));
    expect(error).toBeInstanceOf(MedplumNotModifiedError);
    expect(error).toMatchObject({ code: 'MEDPLUM_NOT_MODIFIED', status: 304, effect: 'none', retryable: false });
    expect(app.wire.requests).toHaveLength(1);
    expect(app.events).toMatchObject([{ status: 304, error: { code: 'MEDPLUM_NOT_MODIFIED' } }]);
  });

  it('is the same for a download: there is no content', async () => {
    const headers = { 'if-none-match': 'W/"7"' };
    const error = await failureOf(app.medplum.binaries.download('1', { onBehalfOf, headers }));
    expect(error).toBeInstanceOf(MedplumNotModifiedError);
  });

  it('is a response for fetch', async () => {
    const answer = await app.medplum.fetch('fhir/R4/Patient/1', { onBehalfOf, headers: { 'if-none-match': 'W/"7"' } });
    expect(answer.status).toBe(304);
    expect(answer.headers.get('etag')).toBe('W/"7"');
    await expect(answer.text()).resolves.toBe('');
    expect(app.events).toMatchObject([{ status: 304, outcome: 'success' }]);
  });

  it('makes no sense to a call that asked for everything', async () => {
    const error = await failureOf(app.medplum.readResource('Patient', '1', { onBehalfOf }));
    expect(error).toBeInstanceOf(MedplumProtocolError);
  });
});

describe('If-None-Match', () => {
  it('does not change other responses', async () => {
    const headers = { 'if-none-match': 'W/"7"' };
    app.wire.handler = () => ({ body: { resourceType: 'Patient', id: '1' } });
    await expect(app.medplum.readResource('Patient', '1', { onBehalfOf, headers })).resolves.toMatchObject({ id: '1' });
    app.wire.handler = () => ({ status: 404, body: outcome('not-found', 'not-found', 'Not found') });
    await expect(app.medplum.readResource('Patient', '1', { onBehalfOf, headers })).rejects.toMatchObject({
      code: 'MEDPLUM_NOT_FOUND',
    });
  });
});
