import { bundleEntry, MedplumProtocolError, type MedplumService } from 'nestjs-medplum';
import { failureOf } from '../support/failure-of';
import { type MedplumApp, startMedplumApp } from '../support/medplum-app';

let app: MedplumApp;

beforeAll(async () => (app = await startMedplumApp()));
beforeEach(() => {
  app.wire.requests.length = 0;
  app.events.length = 0;
});
afterAll(() => app.close());

const onBehalfOf = 'm-1';
const read = (medplum: MedplumService) => medplum.readResource('Patient', '1', { onBehalfOf });
const search = (medplum: MedplumService) => medplum.search('Patient', '', { onBehalfOf });
const create = (medplum: MedplumService) => medplum.createResource({ resourceType: 'Patient' }, { onBehalfOf });
const update = (medplum: MedplumService) =>
  medplum.updateResource({ resourceType: 'Patient', id: '1' }, { onBehalfOf });
const batch = (medplum: MedplumService) =>
  medplum.executeBatch(
    { resourceType: 'Bundle', type: 'batch', entry: [bundleEntry.delete('Patient', '1')] },
    { onBehalfOf },
  );

const ANOTHER = { resourceType: 'Observation', id: '1' };

describe('A response of success that is not about what was asked', () => {
  it.each<readonly [string, (medplum: MedplumService) => Promise<unknown>, unknown, effect: string, RegExp]>([
    ['a read, with another type', read, ANOTHER, 'none', /another resource type/],
    ['a read, with another id', read, { resourceType: 'Patient', id: '2' }, 'none', /another resource/],
    ['a search, with no bundle', search, { resourceType: 'Patient', id: '1' }, 'none', /not a Bundle/],
    ['a create, with another type', create, ANOTHER, 'unknown', /another resource type/],
    ['a create, without an id', create, { resourceType: 'Patient' }, 'unknown', /has no id/],
    ['an update, with another id', update, { resourceType: 'Patient', id: '2' }, 'unknown', /another resource/],
    // The status says that a write was done, but nothing of the entries of a bundle.
    ['an update, with no body', update, undefined, 'happened', /has no body/],
    ['a batch, with no body', batch, undefined, 'unknown', /has no body/],
    ['a batch, with no bundle', batch, ANOTHER, 'unknown', /not a Bundle/],
  ])('%s, is an error with its effect', async (_what, call, body, effect, message) => {
    app.wire.handler = () => ({ status: 200, body });
    const error = await failureOf(call(app.medplum));
    expect(error).toBeInstanceOf(MedplumProtocolError);
    expect(error).toMatchObject({ status: 200, effect, retryable: false });
    expect(error.message).toMatch(message);
    expect(app.wire.requests).toHaveLength(1);
    expect(app.events).toMatchObject([{ outcome: 'error', status: 200, effect, attempts: [{ status: 200 }] }]);
  });

  it('may differ in the case of the id, as Medplum finds ids in upper case', async () => {
    app.wire.handler = () => ({ body: { resourceType: 'Patient', id: 'abc' } });
    await expect(app.medplum.readResource('Patient', 'ABC', { onBehalfOf })).resolves.toMatchObject({ id: 'abc' });
  });
});
