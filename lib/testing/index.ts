export { MedplumEmulator } from './medplum-emulator';
export type { MedplumEmulatorConnection, MedplumEmulatorOptions, MedplumEmulatorSnapshot } from './medplum-emulator';
export type { EmulatorAuthKind, EmulatorRateLimits, MedplumServerVersion, RecordedRequest } from './emulator.types';
export type { Fault, FaultMatch, InjectedFault } from './faults';
export type {
  ClientFixture,
  EmulatorFixtures,
  MembershipFixture,
  ProjectFixture,
  ResourceFixture,
  SeededVariables,
} from './fixtures';
export type {
  ClientInput,
  MemberInput,
  PolicyInput,
  ProjectInput,
  ResourceInput,
  SeededClient,
  SeededMember,
  SeededProject,
} from './seeder';
