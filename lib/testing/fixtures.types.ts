import type { ProjectMembershipAccess, Resource } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };

/** A project of the fixtures. */
export interface ProjectFixture {
  /** Symbolic name. */
  name: string;
  /** Name of the Project. */
  title?: string;
  /** Whether the project validates strictly. Default `true`. */
  strictMode?: boolean;
  /** Features of the project, e.g. `transaction-bundles`. */
  features?: readonly string[];
}

/** A client of the fixtures. */
export interface ClientFixture {
  /** Symbolic name. */
  name: string;
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
export interface ResourceFixture {
  /** Symbolic name. */
  name: string;
  /** Symbolic name of its project. */
  project: string;
  /** Inside it, `{{NAME}}` stands for the reference of an earlier fixture and `{{NAME.id}}` for its id. */
  resource?: Resource;
  /** Content of a Binary, instead of a resource. */
  binary?: { contentType: string; text: string };
}

/** A membership of the fixtures. */
export interface MembershipFixture {
  /** Symbolic name. */
  name: string;
  /** Symbolic name of its project. */
  project: string;
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
export interface EmulatorFixtures {
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
