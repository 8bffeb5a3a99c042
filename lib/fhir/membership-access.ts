import type {
  ProjectMembership,
  ProjectMembershipAccess,
  ProjectMembershipAccessParameter,
  Reference,
} from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { MedplumBadRequestError } from '../errors/response.errors';
import { shownName } from '../errors/shown';
import { isFhirId } from '../http/fhir-id';

/** A value of a policy's parameter: `Type/id` and references are references, other text is text. */
export type AccessParameterValue = string | Reference;

/** Names an access policy: its id, `AccessPolicy/id`, or a reference. */
export type AccessPolicyInput = string | Reference;

/** The id of an access policy; `undefined` for anything else. */
function policyIdOf(policy: unknown): string | undefined {
  const text: unknown =
    typeof policy === 'object' && policy !== null ? (policy as { reference?: unknown }).reference : policy;
  const id = typeof text === 'string' ? text.replace(/^AccessPolicy\//, '') : undefined;
  // A bare id is how people name a policy, never how a resource refers to one.
  return isFhirId(id) && (typeof policy === 'string' || id !== text) ? id : undefined;
}

/** @throws MedplumBadRequestError unless `policy` names one access policy. */
export function policyId(policy: unknown): string {
  const id = policyIdOf(policy);
  if (id === undefined) {
    throw new MedplumBadRequestError('An access policy must be named by its id or as AccessPolicy/id.');
  }
  return id;
}

/**
 * An entry of `ProjectMembership.access`. The server gives `profile` and, unless it is said here, `patient` itself; a name
 * that the policy does not know has no effect there.
 *
 * @example
 * ```ts
 * accessEntry('caregiver-policy-id', { patient: 'Patient/123' });
 * ```
 * @throws MedplumBadRequestError for what is no policy, an empty name, and values of other types.
 */
export function accessEntry(
  policy: AccessPolicyInput,
  parameters: Readonly<Record<string, AccessParameterValue>> = {},
): ProjectMembershipAccess {
  const parameter = Object.entries(parameters).map(([name, value]): ProjectMembershipAccessParameter => {
    if (name.trim() === '') {
      throw new MedplumBadRequestError('A parameter of an access policy needs a name.');
    }
    if (typeof value === 'string' && value !== '') {
      const [type = '', id, ...rest] = value.split('/');
      const isReference = /^[A-Z][A-Za-z]+$/.test(type) && isFhirId(id) && rest.length === 0;
      return isReference ? { name, valueReference: { reference: value } } : { name, valueString: value };
    }
    if (typeof value === 'object' && value !== null && typeof value.reference === 'string' && value.reference !== '') {
      return { name, valueReference: { reference: value.reference } };
    }
    throw new MedplumBadRequestError(
      `The parameter ${shownName(name)} of an access policy must be text or a reference.`,
    );
  });
  const entry: ProjectMembershipAccess = { policy: { reference: `AccessPolicy/${policyId(policy)}` } };
  return parameter.length === 0 ? entry : { ...entry, parameter };
}

/** What two entries must share to be the same: policy and parameters, in any order, whatever is displayed. */
export function canonicalAccess({ policy, parameter }: ProjectMembershipAccess): string {
  const parameters = (Array.isArray(parameter) ? parameter : []).map(({ name, valueReference, valueString }) =>
    JSON.stringify([name, valueString ?? null, valueReference?.reference ?? null]),
  );
  return JSON.stringify([policy?.reference, parameters.toSorted((a, b) => (a < b ? -1 : 1))]);
}

/** Which policies are managed. Entries of all others are left as they are. */
export function managedPolicies(policies: readonly AccessPolicyInput[]): ReadonlySet<string> {
  if (!Array.isArray(policies) || policies.length === 0) {
    throw new MedplumBadRequestError('Name the policies that are managed: with none, nothing could change.');
  }
  return new Set(policies.map(policyId));
}

/** @throws MedplumBadRequestError for an entry that is malformed, or whose policy is not among the managed ones. */
export function checkManaged(entries: readonly ProjectMembershipAccess[], managed: ReadonlySet<string>): void {
  const isManaged = (entry: ProjectMembershipAccess): boolean => managed.has(policyIdOf(entry?.policy) ?? '');
  if (!Array.isArray(entries) || !entries.every(isManaged)) {
    throw new MedplumBadRequestError('Every entry must be one of the managed policies: make it with accessEntry().');
  }
}

/** The new access of a membership. */
export interface AccessChange {
  readonly access: readonly ProjectMembershipAccess[];
  /** Whether it says something else than before. */
  readonly changed: boolean;
  readonly managed: number;
  readonly untouched: number;
}

/** What lists of entries must share to say the same: their entries, in any order. */
function canonicalList(entries: readonly ProjectMembershipAccess[]): string {
  return JSON.stringify(entries.map(canonicalAccess).toSorted((a, b) => (a < b ? -1 : 1)));
}

/** Applies a change to the managed entries of a membership. Others, malformed ones too, stay, and stay in front. */
export function changeAccess(
  { access }: ProjectMembership,
  managed: ReadonlySet<string>,
  change: (entries: readonly ProjectMembershipAccess[]) => readonly ProjectMembershipAccess[],
): AccessChange {
  const before = Array.isArray(access) ? access : [];
  const mine = before.filter((entry) => managed.has(policyIdOf(entry?.policy) ?? ''));
  const others = before.filter((entry) => !mine.includes(entry));
  const after = [...new Map(change(mine).map((entry) => [canonicalAccess(entry), entry])).values()];
  checkManaged(after, managed);
  return {
    access: [...others, ...after],
    changed: canonicalList(mine) !== canonicalList(after),
    managed: after.length,
    untouched: others.length,
  };
}
