import { Test, type TestingModule } from '@nestjs/testing';
import {
  getMedplumOptionsToken,
  MedplumForbiddenError,
  MedplumModule,
  MedplumNotFoundError,
  MedplumPreconditionFailedError,
  MedplumService,
  MedplumUnauthorizedError,
  OnBehalfOfRejectedError,
} from 'nestjs-medplum';
import { MedplumEmulator } from 'nestjs-medplum/testing';

type Member = Awaited<ReturnType<MedplumEmulator['createMember']>>;

const practitioner = (family: string) => ({
  resourceType: 'Practitioner' as const,
  name: [{ given: ['Test'], family }],
});

let emulator: MedplumEmulator;
let context: TestingModule;
let medplum: MedplumService;
let ann: Member;
let bob: Member;

beforeAll(async () => {
  emulator = await MedplumEmulator.start();
  ann = await emulator.createMember({
    profile: practitioner('Ann'),
    policy: [{ resourceType: 'Patient', criteria: 'Patient?gender=female' }],
  });
  bob = await emulator.createMember({
    profile: practitioner('Bob'),
    policy: [
      { resourceType: 'Patient', criteria: 'Patient?gender=male' },
      { resourceType: 'Observation', readonly: true },
    ],
  });
  context = await Test.createTestingModule({
    imports: [MedplumModule.forRoot({ clientId: 'overridden', clientSecret: 'overridden' })],
  })
    .overrideProvider(getMedplumOptionsToken())
    .useValue(emulator.options())
    .compile();
  medplum = context.get(MedplumService);
});

afterAll(async () => {
  await context?.close();
  await emulator?.close();
});

describe('The service against a Medplum server', () => {
  it("creates a Patient as in Medplum's documentation: authored by the client, on behalf of the practitioner", async () => {
    const everything = await emulator.createMember({
      profile: { resourceType: 'Practitioner', name: [{ text: 'Dr. Hibbert' }] },
    });
    const patient = await medplum.createResource(
      { resourceType: 'Patient', name: [{ given: ['Homer'], family: 'Simpson' }] },
      { onBehalfOf: everything.membership },
    );
    expect(patient).toMatchObject({
      resourceType: 'Patient',
      name: [{ given: ['Homer'], family: 'Simpson' }],
      meta: {
        author: { reference: `ClientApplication/${emulator.options().clientId}` },
        onBehalfOf: { reference: everything.profile },
      },
    });
    expect(emulator.requests.at(-1)).toMatchObject({ method: 'POST', onBehalfOf: everything.membership, status: 201 });
  });

  it('reads, writes and searches within the access policy of each member', async () => {
    const hers = await medplum.createResource(
      { resourceType: 'Patient', gender: 'female' },
      { onBehalfOf: ann.membership },
    );
    const his = await medplum.createResource({ resourceType: 'Patient', gender: 'male' }, { onBehalfOf: bob.profile });
    await medplum.onBehalfOf(ann.membership, async () => {
      expect((await medplum.readResource('Patient', hers.id)).id).toBe(hers.id);
      await expect(medplum.readResource('Patient', his.id)).rejects.toThrow(MedplumNotFoundError);
      await expect(medplum.search('Observation')).rejects.toThrow(MedplumForbiddenError);
      const found = await medplum.searchResources('Patient', { _id: [hers.id, his.id] });
      expect(found.map(({ id }) => id)).toEqual([hers.id]);
      expect(found.bundle.type).toBe('searchset');
      expect(await medplum.searchOne('Patient', { _id: his.id })).toBeUndefined();
      await expect(medplum.createResource({ resourceType: 'Patient', gender: 'male' })).rejects.toThrow(
        MedplumForbiddenError,
      );
      await expect(medplum.deleteResource('Patient', his.id)).rejects.toThrow(MedplumNotFoundError);
    });
    await medplum.onBehalfOf(bob.membership, async () => {
      await expect(medplum.createResource({ resourceType: 'Observation', status: 'final', code: {} })).rejects.toThrow(
        MedplumForbiddenError,
      );
      await medplum.deleteResource('Patient', his.id);
    });
    const both = await medplum.asClientApplication(() =>
      medplum.searchResources('Patient', { _id: `${hers.id},${his.id}` }),
    );
    expect(both.map(({ id }) => id)).toEqual([hers.id]);
  });

  it('updates only the version that was read', async () => {
    await medplum.onBehalfOf(ann.membership, async () => {
      const first = await medplum.createResource({ resourceType: 'Patient', gender: 'female' });
      const second = await medplum.updateResource({ ...first, active: true });
      await expect(medplum.updateResource({ ...first, active: false })).rejects.toThrow(MedplumPreconditionFailedError);
      const third = await medplum.updateResource({ ...first, birthDate: '1990-01-01' }, { ifMatch: false });
      expect(third.meta?.versionId).not.toBe(second.meta?.versionId);
      const patched = await medplum.patchResource('Patient', first.id, [{ op: 'add', path: '/active', value: true }]);
      expect(patched).toMatchObject({ active: true, birthDate: '1990-01-01' });
    });
  });

  it('runs all entries of a batch for one identity', async () => {
    const answer = await medplum.executeBatch(
      {
        resourceType: 'Bundle',
        type: 'batch',
        entry: ['female', 'male'].map((gender) => ({
          request: { method: 'POST', url: 'Patient' },
          resource: { resourceType: 'Patient', gender: gender as 'female' },
        })),
      },
      { onBehalfOf: ann.membership },
    );
    expect(answer.entry?.map((entry) => entry.response?.status)).toEqual(['201', '403']);
  });

  it('distinguishes a refused identity from a missing resource', async () => {
    const unknown = { onBehalfOf: 'ProjectMembership/00000000-0000-4000-8000-000000000000' };
    await expect(medplum.readResource('Patient', '00000000-0000-4000-8000-000000000000', unknown)).rejects.toThrow(
      OnBehalfOfRejectedError,
    );
    const missing = medplum.readResource('Patient', '00000000-0000-4000-8000-000000000000', {
      onBehalfOf: ann.membership,
    });
    await expect(missing).rejects.toThrow(MedplumNotFoundError);
  });

  it('recognises bad credentials of the client', async () => {
    const other = await Test.createTestingModule({
      imports: [MedplumModule.forRoot({ ...emulator.options(), clientSecret: 'wrong' })],
    }).compile();
    await expect(
      other.get(MedplumService).readResource('Patient', '1', { onBehalfOf: ann.membership }),
    ).rejects.toThrow(MedplumUnauthorizedError);
    await other.close();
  });
});
