import type { AccessPolicyInteraction } from '@medplum/core';
import type { AccessPolicyResource } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import type { AccessPolicy, Reference, Resource, StoredResource } from './emulator.types';
import { core } from './medplum-peers';
import { Restriction } from './policy-restriction';
import type { CompiledFilter, Predicate, SearchableVersion, SearchScope } from './search.types';

const READING: readonly string[] = ['read', 'vread', 'history', 'search'];

/** Types that a wildcard never covers: a rule must name them. */
const ADMIN_TYPES = {
  '5.0': ['Project', 'ProjectMembership', 'User', 'UserSecurityRequest'],
  '5.2': core.projectAdminResourceTypes,
};

/** One compiled rule of a policy. */
export interface PolicyRule {
  readonly source: AccessPolicyResource;
  /** What a rule restricts; absent if the rule covers every resource of its type. */
  readonly restriction?: Restriction;
}

/** What one identity may do, compiled from an `AccessPolicy` whose variables are filled in. */
export class EffectivePolicy {
  private readonly rules: readonly PolicyRule[];

  constructor(
    private readonly scope: SearchScope,
    /** The policy with its variables filled in; `undefined` for an identity without a policy. */
    readonly source: AccessPolicy | undefined,
  ) {
    const rules = source ? (source.resource ?? []) : [{ resourceType: '*' }];
    this.rules = rules.map((rule) => ({ source: rule, ...this.restrictionOf(rule) }));
  }

  /** The account that new resources belong to. */
  get compartment(): Reference | undefined {
    return this.source?.compartment;
  }

  /** Whether a rule grants `interaction` on at least some resources of the type. */
  allows(interaction: AccessPolicyInteraction, resourceType: string): boolean {
    return this.rulesFor(interaction, resourceType).length > 0;
  }

  /** Whether a rule grants `interaction` on all resources of the type. Only then may the identity know of deleted ones. */
  allowsAll(interaction: AccessPolicyInteraction, resourceType: string): boolean {
    return this.rulesFor(interaction, resourceType).some((rule) => !rule.restriction);
  }

  /** The first rule that lets the identity read or find this resource. */
  ruleFor(
    interaction: 'read' | 'search',
    version: SearchableVersion,
    resource: StoredResource,
  ): AccessPolicyResource | undefined {
    const { resourceType } = resource;
    return (
      this.ruleInMemory(interaction, resource) ??
      this.rulesFor(interaction, resourceType).find(({ restriction }) =>
        matchesAll(restriction?.filters(resourceType) ?? [], version, resource),
      )?.source
    );
  }

  /** The first rule that grants `interaction`, judged by the resource alone, as the server does for all but look-ups. */
  ruleInMemory(interaction: AccessPolicyInteraction, resource: Resource): AccessPolicyResource | undefined {
    return this.rulesFor(interaction, resource.resourceType).find(
      ({ restriction }) => !restriction || restriction.matchesInMemory(resource),
    )?.source;
  }

  /** Combines the rules into one filter for a search; `undefined` if nothing is restricted. */
  searchFilter(resourceType: string): CompiledFilter | undefined {
    const rules = this.rulesFor('search', resourceType);
    if (rules.some((rule) => !rule.restriction)) {
      return undefined;
    }
    const alternatives = rules.map(({ restriction }) => restriction?.filters(resourceType) ?? []);
    const lookup = alternatives.length === 1 ? alternatives[0]?.find((filter) => filter.lookup)?.lookup : undefined;
    const matches: Predicate = (version, resource) =>
      alternatives.some((filters) => matchesAll(filters, version, resource));
    return { matches, ...(lookup && { lookup }) };
  }

  private readonly rulesByUse = new Map<string, readonly PolicyRule[]>();

  private rulesFor(interaction: AccessPolicyInteraction, resourceType: string): readonly PolicyRule[] {
    const key = `${interaction} ${resourceType}`;
    let rules = this.rulesByUse.get(key);
    if (!rules) {
      rules = this.rules.filter(({ source }) => this.grants(source, interaction, resourceType));
      this.rulesByUse.set(key, rules);
    }
    return rules;
  }

  private grants(rule: AccessPolicyResource, interaction: AccessPolicyInteraction, resourceType: string): boolean {
    if (core.protectedResourceTypes.includes(resourceType)) {
      return false;
    }
    const wildcard = rule.resourceType === '*' && !ADMIN_TYPES[this.scope.serverVersion].includes(resourceType);
    if (rule.resourceType !== resourceType && !wildcard) {
      return false;
    }
    // `readonly` counts only in a rule without `interaction`.
    return rule.interaction ? rule.interaction.includes(interaction) : !rule.readonly || READING.includes(interaction);
  }

  private restrictionOf(rule: AccessPolicyResource): Pick<PolicyRule, 'restriction'> {
    const { criteria, compartment } = rule;
    // Binary has no search parameters, so neither criteria nor compartments can restrict it.
    if ((!criteria && !compartment?.reference) || rule.resourceType === 'Binary') {
      return {};
    }
    return { restriction: new Restriction(this.scope, criteria, compartment?.reference) };
  }
}

function matchesAll(
  filters: readonly CompiledFilter[],
  ...found: readonly [version: SearchableVersion, resource: StoredResource]
): boolean {
  return filters.every(({ matches }) => matches(...found) === true);
}

/** The rules that the server adds for project administrators. Nobody can reach another project. */
function adminRules(project: string): AccessPolicyResource[] {
  return [
    {
      resourceType: 'Project',
      criteria: `Project?_id=${project}`,
      readonlyFields: ['superAdmin', 'features', 'link', 'systemSetting'],
      hiddenFields: ['superAdmin', 'systemSetting', 'systemSecret', 'strictMode'],
    },
    {
      resourceType: 'ProjectMembership',
      readonlyFields: ['project', 'user'],
    },
    { resourceType: 'UserSecurityRequest', readonly: true },
    {
      resourceType: 'User',
      hiddenFields: ['passwordHash', 'mfaSecret'],
      readonlyFields: ['email', 'emailVerified', 'mfaEnrolled', 'project'],
    },
  ];
}

/**
 * Combines a membership's policies as the server does. It drops their rules for administration types and gives
 * administrators its own. It lets everybody read two definition types.
 *
 * @param policies the membership's policies with their variables filled in; `undefined` if it has none.
 */
export function combinePolicies(
  policies: readonly AccessPolicy[] | undefined,
  admin: boolean,
  project: string,
): AccessPolicy | undefined {
  const forbiddenTypes = ADMIN_TYPES['5.0'];
  if (!policies) {
    return admin
      ? { resourceType: 'AccessPolicy', resource: [{ resourceType: '*' }, ...adminRules(project)] }
      : undefined;
  }
  const compartment = policies.findLast((policy) => policy.compartment)?.compartment;
  const rules = policies
    .flatMap((policy) => policy.resource ?? [])
    .filter((rule) => !forbiddenTypes.includes(rule.resourceType));
  return {
    resourceType: 'AccessPolicy',
    ...(compartment && { compartment }),
    resource: [
      ...rules,
      { resourceType: 'SearchParameter', readonly: true },
      { resourceType: 'StructureDefinition', readonly: true },
      ...(admin ? adminRules(project) : []),
    ],
  };
}

/** Replaces `%name` and `%name.id` in a policy by the value of the parameter. Unknown names stay as they are. */
export function fillPolicy(policy: AccessPolicy, parameters: ReadonlyMap<string, string>): AccessPolicy {
  const text = JSON.stringify(policy).replace(/%([A-Za-z][\w-]*)(\.id)?/g, (whole, name: string, id?: string) => {
    const value = parameters.get(name);
    if (value === undefined) {
      return whole;
    }
    const inserted = id ? value.slice(value.indexOf('/') + 1) : value;
    return JSON.stringify(inserted).slice(1, -1);
  });
  return JSON.parse(text) as AccessPolicy;
}
