import type { ProjectMembershipAccess, Resource } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };

/** A note for the reader of the file. JSON has no comments, so fixtures may have a member `"//"`, which is ignored. */
interface Commented {
  /** Ignored. */
  '//'?: string | readonly string[];
}

/** A project of the fixtures. */
export interface ProjectFixture extends Commented {
  /** Symbolic name. */
  name: string;
  /** Id of the Project, a UUID in lower case. Default: random. */
  id?: string;
  /** Name of the Project. */
  title?: string;
  /** Whether the project validates strictly. Default `true`. */
  strictMode?: boolean;
  /** Features of the project, e.g. `transaction-bundles`. */
  features?: readonly string[];
}

/** A client of the fixtures. */
export interface ClientFixture extends Commented {
  /** Symbolic name. */
  name: string;
  /** Id of the ClientApplication, a UUID in lower case. Default: random. */
  id?: string;
  /** The client's secret: letters, digits and `-._+/=`. Default: random. Choose one that is used nowhere else. */
  secret?: string;
  /** Symbolic name of its project. */
  project: string;
  /** Name of the ClientApplication. */
  title?: string;
  /** Whether it may act on behalf of others. Default `false`. */
  admin?: boolean;
  /** Symbolic name of an AccessPolicy. */
  accessPolicy?: string;
}

/** A resource of the fixtures: `resource`, or `binary` with its content. */
export interface ResourceFixture extends Commented {
  /** Symbolic name. */
  name: string;
  /** Id of the resource, a UUID in lower case. Default: `resource.id`, or else random. */
  id?: string;
  /** Symbolic name of its project. */
  project: string;
  /** Inside it, `{{NAME}}` stands for the reference of an earlier fixture and `{{NAME.id}}` for its id. */
  resource?: Resource;
  /** Content of a Binary, instead of a resource. */
  binary?: { contentType: string; text: string };
}

/** A membership of the fixtures. */
export interface MembershipFixture extends Commented {
  /** Symbolic name. */
  name: string;
  /** Id of the ProjectMembership, a UUID in lower case. Default: random. */
  id?: string;
  /** Symbolic name of its project. */
  project: string;
  /** `externalId` of the membership. Default: random. */
  externalId?: string;
  /** Symbolic name of the profile resource. */
  profile: string;
  /** Symbolic name of an AccessPolicy. */
  accessPolicy?: string;
  /** Policies with parameters; `{{NAME}}` works in it. */
  access?: readonly ProjectMembershipAccess[];
  /** Makes the member a project admin. Default `false`. */
  admin?: boolean;
  /** `false` makes the membership inactive. */
  active?: boolean;
  /** `true` deletes the membership after it was created. */
  deleted?: boolean;
}

/** What an emulator contains when it starts, in the format of the recorded wire cases. */
export interface EmulatorFixtures extends Commented {
  /** Projects, created first. */
  projects: readonly ProjectFixture[];
  /** ClientApplications, created second. */
  clients: readonly ClientFixture[];
  /** Resources, created in the order given. */
  resources?: readonly ResourceFixture[];
  /** Memberships, created last. */
  memberships?: readonly MembershipFixture[];
}

/** What the symbolic names stand for: references, and the secrets of clients. */
export type SeededVariables = Record<string, string>;
