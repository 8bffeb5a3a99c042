export { MedplumAuditRecorder } from './medplum-audit-recorder';
export { MedplumEmulator } from './medplum-emulator';
export type { MedplumEmulatorSnapshot } from './medplum-emulator';
export type { MedplumEmulatorConnection, MedplumEmulatorOptions } from './medplum-emulator.options';
export type { EmulatorAuthKind, EmulatorRateLimits, MedplumServerVersion, RecordedRequest } from './emulator.types';
export type { Fault, FaultMatch, InjectedFault } from './faults';
export type {
  ClientFixture,
  EmulatorFixtures,
  MembershipFixture,
  ProjectFixture,
  ResourceFixture,
  SeededVariables,
} from './fixtures.types';
export { MedplumTestingModule } from './medplum-testing.module';
export type { MedplumTestingModuleOptions } from './medplum-testing.module';
export {
  expectAllRequestsOnBehalfOf,
  expectNoRequestAsClientApplication,
  expectNoRequests,
} from './request-assertions';
export type { RequestRecord } from './request-assertions';
export type {
  ClientInput,
  EmulatorMember,
  MemberInput,
  PolicyInput,
  ProjectInput,
  ResourceInput,
  SeededClient,
  SeededMember,
  SeededProject,
} from './seeding.types';
export { signedWebhook } from './signed-webhook';
export type { SignedWebhook, WebhookInput } from './signed-webhook';
