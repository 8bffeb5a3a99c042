import { randomUUID } from 'node:crypto';
import type { AccessPolicyResource } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { Test, type TestingModule } from '@nestjs/testing';
import {
  MedplumAudit,
  MedplumModule,
  type MedplumModuleOptions,
  MedplumService,
  type RequestEvent,
} from 'nestjs-medplum';
import { MedplumEmulator } from 'nestjs-medplum/testing';
import { closeAll } from './close-all';

/** A person that a call can act as. */
export interface Member {
  readonly membership: string;
  readonly profile: string;
}

/** A Medplum server and a client of it, for tests that run on the embedded Medplum and on a real server. */
export interface MedplumServer {
  readonly medplum: MedplumService;
  readonly module: TestingModule;
  readonly events: RequestEvent[];
  /** Whether it is a real server; see {@link startMedplumServer}. */
  readonly isReal: boolean;
  readonly emulator: MedplumEmulator | undefined;
  readonly projectId: string;
  readonly options: MedplumModuleOptions;
  /** Adds a Practitioner with this policy to the project. */
  createMember(family: string, policy: readonly AccessPolicyResource[]): Promise<Member>;
  close(): Promise<void>;
}

/**
 * Starts the embedded Medplum and a client of it. If you set `MEDPLUM_BASE_URL`, `MEDPLUM_CLIENT_ID`,
 * `MEDPLUM_CLIENT_SECRET` and `MEDPLUM_PROJECT_ID`, it connects to that server instead. The client must be a project admin
 * there, and the resources that the tests create are not deleted.
 */
export async function startMedplumServer(more: Partial<MedplumModuleOptions> = {}): Promise<MedplumServer> {
  const { MEDPLUM_BASE_URL, MEDPLUM_CLIENT_ID, MEDPLUM_CLIENT_SECRET, MEDPLUM_PROJECT_ID } = process.env;
  const isReal = MEDPLUM_CLIENT_ID !== undefined && MEDPLUM_CLIENT_SECRET !== undefined;
  const emulator = isReal ? undefined : await MedplumEmulator.start();
  const options: MedplumModuleOptions = {
    ...(emulator?.options() ?? {
      ...(MEDPLUM_BASE_URL ? { baseUrl: MEDPLUM_BASE_URL } : {}),
      clientId: MEDPLUM_CLIENT_ID ?? '',
      clientSecret: MEDPLUM_CLIENT_SECRET ?? '',
    }),
    ...more,
  };
  const module = await Test.createTestingModule({ imports: [MedplumModule.forRoot(options)] })
    .compile()
    .then((compiled) => compiled.init());
  const medplum = module.get(MedplumService);
  const events: RequestEvent[] = [];
  module.get(MedplumAudit).events$.subscribe((event) => events.push(event));
  const projectId = MEDPLUM_PROJECT_ID ?? emulator?.seeded().vars['project']?.split('/')[1] ?? '';
  return {
    medplum,
    module,
    events,
    isReal,
    emulator,
    projectId,
    options,
    async createMember(family, policy) {
      if (emulator) {
        return emulator.createMember({ profile: { resourceType: 'Practitioner', name: [{ family }] }, policy });
      }
      const accessPolicy = await medplum.createResource(
        { resourceType: 'AccessPolicy', name: `Test ${family}`, resource: [...policy] },
        { onBehalfOf: '' },
      );
      const member = await medplum.memberships.invite(projectId, {
        resourceType: 'Practitioner',
        firstName: 'Test',
        lastName: family,
        externalId: randomUUID(),
        sendEmail: false,
        membership: { accessPolicy: { reference: `AccessPolicy/${accessPolicy.id}` } },
      });
      return { membership: `ProjectMembership/${member.id}`, profile: member.profile?.reference ?? '' };
    },
    close: () => closeAll(module, emulator),
  };
}
