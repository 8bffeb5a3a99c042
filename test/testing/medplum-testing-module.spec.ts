import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Test, type TestingModule } from '@nestjs/testing';
import { fromUser, getMedplumOptionsToken, MedplumService, OnBehalfOfRejectedError } from 'nestjs-medplum';
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

  it('keeps the options of the app, beside its own or in an object of their own', async () => {
    const options = {
      clientId: 'of the app',
      clientSecret: 'x',
      publicUrl: 'https://medplum.example/',
      logTag: 'inner',
    };
    const second = await Test.createTestingModule({
      imports: [
        MedplumTestingModule.forRoot({
          membershipCheck: true,
          resolveOnBehalfOf: fromUser('membership'),
          logTag: 'outer',
          options,
        }),
      ],
    }).compile();
    try {
      const running = second.get(MedplumEmulator);
      expect(second.get(getMedplumOptionsToken())).toEqual({
        ...running.options(),
        membershipCheck: true,
        resolveOnBehalfOf: expect.any(Function),
        logTag: 'outer',
      });
      const member = await running.createMember({ profile: { resourceType: 'Practitioner' } });
      const call = second.get(MedplumService).search('Patient', {}, { onBehalfOf: member.membership });
      await expect(call).rejects.toThrow(OnBehalfOfRejectedError);
    } finally {
      await second.close();
    }
  });

  it('reports an option that does not exist, as the app does', async () => {
    const input: object = { membershipChek: true };
    const compiled = Test.createTestingModule({ imports: [MedplumTestingModule.forRoot(input)] }).compile();
    await expect(compiled).rejects.toThrow('membershipCheck');
  });

  it('does not keep a process alive whose app fails in init', async () => {
    const support = join(__dirname, '../support');
    const args = [join(support, 'run-typescript.cjs'), join(support, 'failing-init-program.ts')];
    // A process that hangs is killed, and then this rejects.
    const limits = { timeout: 18_000, killSignal: 'SIGKILL' } as const;
    const { stdout } = await promisify(execFile)(process.execPath, args, limits);
    expect(stdout).toBe('Error: init failed\n');
  });

  it('takes an emulator or fixtures, not both', () => {
    const fixtures = { projects: [], clients: [] };
    expect(() => MedplumTestingModule.forRoot({ emulator, fixtures })).toThrow('not both');
  });
});
