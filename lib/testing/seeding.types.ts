import type { AccessPolicy, AccessPolicyResource, ProjectMembershipAccess, Resource } from '@medplum/fhirtypes' with {
  'resolution-mode': 'import',
};

/** A project that was created. */
export interface SeededProject {
  /** Id of the Project. */
  readonly id: string;
  /** `Project/<id>` */
  readonly reference: string;
}

/** A client application that was created. Its secret is known to this emulator only. */
export interface SeededClient {
  /** The client id. */
  readonly id: string;
  /** The client's secret, random per start unless fixtures or a file of `persist` fix it. */
  readonly secret: string;
  /** `ClientApplication/<id>` */
  readonly reference: string;
  /** `ProjectMembership/<id>` of the client itself */
  readonly membership: string;
}

/** A person who was made a member of a project. */
export interface SeededMember {
  /** `ProjectMembership/<id>`, the value for `X-Medplum-On-Behalf-Of` */
  readonly membership: string;
  /** `Practitioner/<id>`, `Patient/<id>` or `RelatedPerson/<id>` */
  readonly profile: string;
  /** `externalId` of the membership, unique in the emulator. */
  readonly externalId: string;
}

/** A member as {@link MedplumEmulator.members} lists it. */
export interface EmulatorMember {
  /** Symbolic name in the fixtures; `undefined` for members that were added later. */
  readonly name: string | undefined;
  /** `ProjectMembership/<id>`, the value for `X-Medplum-On-Behalf-Of` */
  readonly membership: string;
  /** `Practitioner/<id>`, `Patient/<id>` or `RelatedPerson/<id>` */
  readonly profile: string;
  /** `externalId` of the membership, if it has one. */
  readonly externalId: string | undefined;
  /** Whether the member is a project administrator. */
  readonly admin: boolean;
  /** Whether the membership is active. */
  readonly active: boolean;
}

/** Rules of an access policy, a whole policy, or the reference of an existing one (`AccessPolicy/<id>`). */
export type PolicyInput = readonly AccessPolicyResource[] | Omit<AccessPolicy, 'resourceType'> | string;

/** Input of {@link MedplumEmulator.createProject}. */
export interface ProjectInput {
  /** Name of the project. */
  name?: string;
  /** Features of the project, for example `transaction-bundles`. Default: none, so that transactions are not atomic. */
  features?: readonly string[];
  /** Whether resources are validated. Default `true`. */
  strictMode?: boolean;
}

/** Input of {@link MedplumEmulator.createClient}. */
export interface ClientInput {
  /** Name of the ClientApplication, which becomes the `display` of `meta.author`. */
  name?: string;
  /** Id or reference of the project. Default: the first project. */
  project?: string;
  /** Whether it may act on behalf of others. Default `true`. */
  admin?: boolean;
  /** Access policy of the client itself. Default: none, so that it reaches all resources of the project. */
  policy?: PolicyInput;
}

/** Input of {@link MedplumEmulator.createMember}. */
export interface MemberInput {
  /** The person: a new Practitioner, Patient or RelatedPerson, or the reference of an existing one. */
  profile: Resource | string;
  /** What the member may do. Default: everything in the project except administration, as on a real server. */
  policy?: PolicyInput;
  /** Further policies, with parameters. */
  access?: readonly ProjectMembershipAccess[];
  /** Makes the member a project administrator. Default `false`. */
  admin?: boolean;
  /** `false` makes the membership inactive. */
  active?: boolean;
  /** `externalId` of the membership. Default: random. */
  externalId?: string;
  /** Id or reference of the project. Default: the first project. */
  project?: string;
}

/** Where a seeded resource is stored. */
export interface ResourceInput {
  /** Id or reference of the project. Default: the first project. */
  project?: string;
}
