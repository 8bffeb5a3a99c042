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

/** A person who may be acted for. */
export interface Member {
  readonly membership: string;
  readonly profile: string;
}

/** A Medplum server with a client on it, for tests that hold for the emulator and for a real server alike. */
export interface MedplumServer {
  readonly medplum: MedplumService;
  readonly module: TestingModule;
  readonly events: RequestEvent[];
  /** Whether a real server is behind it: see {@link startMedplumServer}. */
  readonly isReal: boolean;
  readonly emulator: MedplumEmulator | undefined;
  readonly projectId: string;
  readonly options: MedplumModuleOptions;
  /** Makes a Practitioner with this policy a member of the project. */
  createMember(family: string, policy: readonly AccessPolicyResource[]): Promise<Member>;
  close(): Promise<void>;
}

/**
 * Starts the embedded Medplum and a client of it. With `MEDPLUM_BASE_URL`, `MEDPLUM_CLIENT_ID`, `MEDPLUM_CLIENT_SECRET`
 * and `MEDPLUM_PROJECT_ID` it is that server instead, whose client must be a project admin; what the tests make stays there.
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
