import type {
  ProjectMembership,
  ProjectMembershipAccess,
  ProjectMembershipAccessParameter,
  Reference,
} from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { MedplumBadRequestError } from '../errors/response.errors';
import { shownName } from '../errors/shown';
import { isFhirId } from '../shared/fhir-id';
import { objects } from '../shared/objects';
import { isTypedReference } from './path-segments';

/** Value of a policy's parameter. `Type/id` and Reference objects become references, other text stays text. */
export type AccessParameterValue = string | Reference;

/** Names an access policy by its id, as `AccessPolicy/id`, or by a Reference object. */
export type AccessPolicyInput = string | Reference;

/** Returns the id of an access policy, or `undefined` if `policy` names none. */
function policyIdOf(policy: unknown): string | undefined {
  const text: unknown =
    typeof policy === 'object' && policy !== null ? (policy as { reference?: unknown }).reference : policy;
  const id = typeof text === 'string' ? text.replace(/^AccessPolicy\//, '') : undefined;
  // Callers may name a policy by its bare id, but a Reference never holds one.
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
 * Makes an entry of `ProjectMembership.access`. The server itself sets the parameter `profile` and, unless you pass it,
 * `patient`. It ignores parameters that the policy does not use.
 *
 * @example
 * ```ts
 * accessEntry('caregiver-policy-id', { patient: 'Patient/123' });
 * ```
 * @throws MedplumBadRequestError when `policy` names no access policy, a name is empty, or a value is neither text nor
 * a reference.
 */
export function accessEntry(
  policy: AccessPolicyInput,
  parameters: Readonly<Record<string, AccessParameterValue>> = {},
): ProjectMembershipAccess {
  const parameter = Object.entries(parameters).map(([name, value]): ProjectMembershipAccessParameter => {
    if (name.trim() === '') {
      throw new MedplumBadRequestError('Every parameter of an access policy must have a name.');
    }
    if (typeof value === 'string' && value !== '') {
      return isTypedReference(value) ? { name, valueReference: { reference: value } } : { name, valueString: value };
    }
    if (typeof value === 'object' && value !== null && typeof value.reference === 'string' && value.reference !== '') {
      return { name, valueReference: { reference: value.reference } };
    }
    throw new MedplumBadRequestError(
      `The parameter ${shownName(name)} of an access policy must be a string that is not empty, or a reference.`,
    );
  });
  const entry: ProjectMembershipAccess = { policy: { reference: `AccessPolicy/${policyId(policy)}` } };
  return parameter.length === 0 ? entry : { ...entry, parameter };
}

/** A key that is equal for equal entries: same policy, same parameters in any order. Display texts do not count. */
export function canonicalAccess({ policy, parameter }: ProjectMembershipAccess): string {
  const parameters = objects(parameter).map(({ name, valueReference, valueString }) =>
    JSON.stringify([name, valueString ?? null, valueReference?.reference ?? null]),
  );
  return JSON.stringify([policy?.reference, parameters.toSorted((a, b) => (a < b ? -1 : 1))]);
}

/**
 * Returns the ids of the managed policies. A change leaves the entries of all other policies as they are.
 *
 * @throws MedplumBadRequestError when the list is empty, or an item names no access policy.
 */
export function managedPolicies(policies: readonly AccessPolicyInput[]): ReadonlySet<string> {
  if (!Array.isArray(policies) || policies.length === 0) {
    throw new MedplumBadRequestError(
      'The list of managed policies must name at least one policy. Without one, nothing could change.',
    );
  }
  return new Set(policies.map(policyId));
}

function isManaged(entry: ProjectMembershipAccess | undefined, managed: ReadonlySet<string>): boolean {
  return managed.has(policyIdOf(entry?.policy) ?? '');
}

/** @throws MedplumBadRequestError when an entry is malformed, or its policy is not a managed one. */
export function checkManaged(entries: readonly ProjectMembershipAccess[], managed: ReadonlySet<string>): void {
  if (!Array.isArray(entries) || !entries.every((entry) => isManaged(entry, managed))) {
    throw new MedplumBadRequestError(
      'Every entry must belong to one of the managed policies. Make entries with accessEntry().',
    );
  }
}

/** The new access of a membership. */
export interface AccessChange {
  /** All entries: first those of other policies, then those of the managed ones. */
  readonly access: readonly ProjectMembershipAccess[];
  /** Whether the entries of the managed policies differ from the previous ones. */
  readonly changed: boolean;
  /** Number of entries of managed policies. */
  readonly managed: number;
  /** Number of entries of other policies. */
  readonly untouched: number;
}

/** A key that is equal for lists with equal entries in any order. */
function canonicalList(entries: readonly ProjectMembershipAccess[]): string {
  return JSON.stringify(entries.map(canonicalAccess).toSorted((a, b) => (a < b ? -1 : 1)));
}

/**
 * Applies `change` to the entries of the managed policies. All other entries, malformed ones included, stay and come
 * first.
 *
 * @throws MedplumBadRequestError when `change` returns an entry of another policy.
 */
export function changeAccess(
  { access }: ProjectMembership,
  managed: ReadonlySet<string>,
  change: (entries: readonly ProjectMembershipAccess[]) => readonly ProjectMembershipAccess[],
): AccessChange {
  const before = Array.isArray(access) ? access : [];
  const mine = before.filter((entry) => isManaged(entry, managed));
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
