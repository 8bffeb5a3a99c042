import type { Bundle, Provenance } from '@medplum/fhirtypes';
import { bundleEntry, MedplumBadRequestError } from 'nestjs-medplum';
import { failureOf } from '../support/failure-of';
import { type MedplumApp, startMedplumApp } from '../support/medplum-app';
import { MemorySink } from '../support/memory-sink';

const DOCTOR = 'Practitioner/1';
const NURSE = 'ProjectMembership/nurse';

describe('A transaction with provenance', () => {
  let app: MedplumApp;

  beforeEach(async () => {
    const breakGlass = { onBehalfOf: 'ProjectMembership/emergency', alert: () => undefined };
    app = await startMedplumApp({ breakGlass, audit: { sinks: [new MemorySink()] } });
    app.wire.handler = (request) => {
      const { entry = [] } = JSON.parse(request.body) as Bundle;
      const answer: Bundle = {
        resourceType: 'Bundle',
        type: 'transaction-response',
        entry: entry.map(() => ({ response: { status: '200' } })),
      };
      return { body: answer };
    };
  });

  afterEach(() => app.close());

  /** The entries that were sent. */
  const sent = (): NonNullable<Bundle['entry']> =>
    (JSON.parse(app.wire.requests.at(-1)?.body ?? '{}') as Bundle).entry ?? [];
  const provenance = (): Provenance | undefined => sent().at(-1)?.resource as Provenance | undefined;

  it('has a Provenance of all that it writes, with who acts and why', async () => {
    await app.medplum.onBehalfOf(
      DOCTOR,
      () =>
        app.medplum.executeTransaction(
          [
            bundleEntry.create({ resourceType: 'Patient' }),
            bundleEntry.create(
              { resourceType: 'Patient' },
              { fullUrl: 'urn:uuid:0b9e3b5a-5d4e-4a3c-8b1f-2d6f7a8c9e01' },
            ),
            bundleEntry.update({ resourceType: 'Basic', id: '2', code: {} }),
            bundleEntry.patch('Basic', '3', [{ op: 'remove', path: '/created' }]),
            bundleEntry.delete('Basic', '4'),
            bundleEntry.read('Patient', '5'),
          ],
          { provenance: true },
        ),
      { purposeOfUse: 'TREAT' },
    );
    const urls = sent().map(({ fullUrl }) => fullUrl);
    expect(urls[0]).toMatch(/^urn:uuid:[0-9a-f-]{36}$/);
    expect(sent()).toHaveLength(7);
    expect(sent().at(-1)?.request).toEqual({ method: 'POST', url: 'Provenance' });
    expect(provenance()).toMatchObject({
      resourceType: 'Provenance',
      target: [
        { reference: urls[0] },
        { reference: 'urn:uuid:0b9e3b5a-5d4e-4a3c-8b1f-2d6f7a8c9e01' },
        { reference: 'Basic/2' },
        { reference: 'Basic/3' },
        { reference: 'Basic/4' },
      ],
      reason: [{ coding: [{ system: 'http://terminology.hl7.org/CodeSystem/v3-ActReason', code: 'TREAT' }] }],
      agent: [
        { type: { coding: [{ code: 'author' }] }, who: { reference: DOCTOR } },
        { type: { coding: [{ code: 'assembler' }] }, onBehalfOf: { reference: DOCTOR } },
      ],
    });
    expect(Math.abs(Date.parse(provenance()?.recorded ?? '') - Date.now())).toBeLessThan(20_000);
  });

  it('names who broke the glass as the author, and their reason', async () => {
    await app.medplum.onBehalfOf(NURSE, () =>
      app.medplum.breakGlass({ reason: 'Unconscious', expiresIn: 1_000_000 }, () =>
        app.medplum.executeTransaction([bundleEntry.delete('Basic', '4')], { provenance: true }),
      ),
    );
    expect(provenance()).toMatchObject({
      reason: [{ coding: [{ code: 'BTG' }] }, { text: 'Unconscious' }],
      agent: [
        { who: { identifier: { system: app.wire.baseUrl, value: NURSE } } },
        { onBehalfOf: { identifier: { value: 'ProjectMembership/emergency' } } },
      ],
    });
  });

  it('names the client when it acts as itself', async () => {
    await app.medplum.asClientApplication(() =>
      app.medplum.executeTransaction([bundleEntry.delete('Basic', '4')], { provenance: true }),
    );
    expect(provenance()?.agent).toEqual([
      {
        type: expect.anything() as unknown,
        who: {
          identifier: { system: app.wire.baseUrl, value: expect.stringMatching(/^ClientApplication\//) as unknown },
        },
      },
    ]);
    expect(provenance()).not.toHaveProperty('reason');
  });

  it('has none when it writes nothing, or when nobody asks for it', async () => {
    await app.medplum.executeTransaction([bundleEntry.read('Patient', '5')], { provenance: true, onBehalfOf: NURSE });
    expect(sent()).toHaveLength(1);
    await app.medplum.executeTransaction([bundleEntry.delete('Patient', '5')], { onBehalfOf: NURSE });
    expect(sent()).toHaveLength(1);
  });

  it('is refused when an entry cannot be named', async () => {
    const entry = {
      request: { method: 'PUT' as const, url: 'Patient?identifier=1' },
      resource: { resourceType: 'Patient' as const },
    };
    const error = await failureOf(app.medplum.executeTransaction([entry], { provenance: true, onBehalfOf: NURSE }));
    expect(error).toBeInstanceOf(MedplumBadRequestError);
    expect(error.message).toContain('Entry 0');
    expect(app.wire.requests).toEqual([]);
  });

  it('is refused as any call without an identity', async () => {
    const error = await failureOf(
      app.medplum.executeTransaction([bundleEntry.delete('Basic', '4')], { provenance: true }),
    );
    expect(error).toMatchObject({ code: 'MEDPLUM_ON_BEHALF_OF_REQUIRED' });
  });
});
