import type { AccessPolicyResource } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { objects } from '../../../shared/objects';
import type { BehaviourLine } from './server-context';

/** What an access policy can grant. */
export const INTERACTIONS = ['read', 'vread', 'history', 'search', 'create', 'update', 'delete'] as const;
type Interaction = (typeof INTERACTIONS)[number];

/** On which resources of a type: all of them, those that the criteria of the policy match, or none. */
export type Extent = 'all' | 'some' | 'none';

/** What an identity may do with one type. */
export interface AccessRow {
  /** `*` stands for all types that have no row of their own. */
  readonly resourceType: string;
  readonly may: Readonly<Record<Interaction, Extent>>;
}

const READING: readonly string[] = ['read', 'vread', 'history', 'search'];
const WRITING: readonly string[] = ['create', 'update', 'delete'];

const OLDER_ADMIN_TYPES = ['Project', 'ProjectMembership', 'User', 'UserSecurityRequest'];

/** Types that `*` never covers: a policy has to name them. */
const ADMIN_TYPES: Readonly<Record<BehaviourLine, readonly string[]>> = {
  '5.0': OLDER_ADMIN_TYPES,
  '5.2': [...OLDER_ADMIN_TYPES, 'AccessPolicy', 'Cron', 'Package', 'PackageRelease', 'PackageInstallation'],
};

/** Computes what the rules of a policy grant, one row for each type that they name. Rules add up. */
export function accessTable(given: readonly AccessPolicyResource[] | undefined, line: BehaviourLine): AccessRow[] {
  const rules = objects(given).filter(({ resourceType }) => /^(?:\*|[A-Z][A-Za-z]+)$/.test(resourceType));
  const types = [...new Set(rules.map(({ resourceType }) => resourceType))];
  // The wildcard comes last: the other types have no row of their own.
  return types.toSorted((a, b) => Number(a === '*') - Number(b === '*')).map((type) => row(type, rules, line));
}

/** What a membership without a policy may do. */
export const EVERYTHING: AccessRow = row('*', [{ resourceType: '*' }], '5.0');

function row(type: string, rules: readonly AccessPolicyResource[], line: BehaviourLine): AccessRow {
  const covering = rules.filter(
    (rule) => rule.resourceType === type || (rule.resourceType === '*' && !ADMIN_TYPES[line].includes(type)),
  );
  const may = Object.fromEntries(
    INTERACTIONS.map((interaction) => [interaction, extent(interaction, covering)]),
  ) as Record<Interaction, Extent>;
  return { resourceType: type, may };
}

function extent(interaction: Interaction, rules: readonly AccessPolicyResource[]): Extent {
  const granting = rules.filter((rule) => grants(rule, interaction));
  if (granting.length === 0) {
    return 'none';
  }
  return granting.some((rule) => !isRestricted(rule, interaction)) ? 'all' : 'some';
}

/** `readonly` counts only in a rule without `interaction`. */
function grants({ interaction: granted, readonly }: AccessPolicyResource, interaction: Interaction): boolean {
  if (Array.isArray(granted)) {
    return granted.includes(interaction);
  }
  return readonly !== true || READING.includes(interaction);
}

function isRestricted(rule: AccessPolicyResource, interaction: Interaction): boolean {
  const constrained =
    WRITING.includes(interaction) && interaction !== 'delete' && objects(rule.writeConstraint).length > 0;
  // The server cannot restrict a Binary, because it has no search parameters.
  const limited = rule.resourceType !== 'Binary' && Boolean(rule.criteria ?? rule.compartment?.reference);
  return constrained || limited;
}
