import { Test, type TestingModule } from '@nestjs/testing';
import { MedplumService } from 'nestjs-medplum';
import {
  expectAllRequestsOnBehalfOf,
  expectNoRequestAsClientApplication,
  expectNoRequests,
  MedplumAuditRecorder,
  MedplumEmulator,
  MedplumTestingModule,
  type SeededMember,
} from 'nestjs-medplum/testing';

describe('MedplumTestingModule', () => {
  let app: TestingModule;
  let emulator: MedplumEmulator;
  let medplum: MedplumService;
  let ada: SeededMember;

  beforeAll(async () => {
    app = await Test.createTestingModule({ imports: [MedplumTestingModule.forRoot()] }).compile();
    await app.init();
    emulator = app.get(MedplumEmulator);
    medplum = app.get(MedplumService);
    ada = await emulator.createMember({ profile: { resourceType: 'Practitioner', name: [{ family: 'Arzt' }] } });
  });

  beforeEach(() => {
    emulator.clearRequests();
    app.get(MedplumAuditRecorder).clear();
  });

  afterAll(() => app.close());

  it('connects the library to an emulator of its own', async () => {
    const patient = await emulator.createResource({ resourceType: 'Patient', gender: 'other' });
    const read = await medplum.readResource('Patient', patient.id, { onBehalfOf: ada.membership });
    expect(read.gender).toBe('other');
    expectAllRequestsOnBehalfOf(emulator, ada.membership);
    expectNoRequestAsClientApplication(emulator);
  });

  it('records audit events', async () => {
    await medplum.search('Patient', {}, { onBehalfOf: ada.membership });
    expect(app.get(MedplumAuditRecorder).events).toMatchObject([{ action: 'search', outcome: 'success' }]);
  });

  it('says which requests carried another identity or none at all', async () => {
    expectNoRequests(emulator);
    expect(() => expectAllRequestsOnBehalfOf(emulator, ada.membership)).toThrow('none was made');
    await medplum.asClientApplication(() => medplum.search('Patient'));
    expect(() => expectAllRequestsOnBehalfOf(emulator, ada.membership)).toThrow('GET /fhir/R4/Patient: no identity');
    expect(() => expectNoRequestAsClientApplication(emulator)).toThrow('but some had them (1 of 1)');
    expect(() => expectNoRequests(emulator)).toThrow('Expected no request');
  });

  it('does not close an emulator that the test started', async () => {
    const own = await MedplumEmulator.start();
    try {
      const second = await Test.createTestingModule({
        imports: [MedplumTestingModule.forRoot({ emulator: own })],
      }).compile();
      await second.close();
      await expect(fetch(`${own.baseUrl}healthcheck`)).resolves.toMatchObject({ status: 200 });
    } finally {
      await own.close();
    }
  });

  it('takes an emulator or fixtures, not both', () => {
    const fixtures = { projects: [], clients: [] };
    expect(() => MedplumTestingModule.forRoot({ emulator, fixtures })).toThrow('not both');
  });
});
