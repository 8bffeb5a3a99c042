import type { AccessPolicyInteraction } from '@medplum/core';
import type { AccessPolicyResource } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import type { AccessPolicy, Reference, StoredResource } from './emulator.types';
import { core } from './medplum-peers';
import { compileFilter } from './search-filter';
import type { CompiledFilter, Predicate, SearchScope } from './search.types';
import type { Version } from './store';

const READING: readonly string[] = ['read', 'vread', 'history', 'search'];

/** Types that a wildcard never covers: a rule must name them. */
const ADMIN_TYPES = {
  '5.0': ['Project', 'ProjectMembership', 'User', 'UserSecurityRequest'],
  '5.2': core.projectAdminResourceTypes,
};

/** One rule of a policy, made ready. */
export interface PolicyRule {
  readonly source: AccessPolicyResource;
  /** Absent: the rule covers every resource of its type. */
  readonly restriction?: (resourceType: string) => CompiledFilter[];
}

/** What one identity may do. Compiled from an `AccessPolicy` whose variables are filled in. */
export class EffectivePolicy {
  private readonly rules: readonly PolicyRule[];

  constructor(
    private readonly scope: SearchScope,
    /** The policy with its variables filled in; absent for an identity without any policy. */
    readonly source: AccessPolicy | undefined,
  ) {
    const rules = source ? (source.resource ?? []) : [{ resourceType: '*' }];
    this.rules = rules.map((rule) => ({ source: rule, ...this.restrictionOf(rule) }));
  }

  /** The account that new resources are put into. */
  get compartment(): Reference | undefined {
    return this.source?.compartment;
  }

  /** Whether some rule grants `interaction` on some resources of the type. */
  allows(interaction: AccessPolicyInteraction, resourceType: string): boolean {
    return this.rulesFor(interaction, resourceType).length > 0;
  }

  /** Whether some rule grants `interaction` on all resources of the type, so that even deleted ones may be known. */
  allowsAll(interaction: AccessPolicyInteraction, resourceType: string): boolean {
    return this.rulesFor(interaction, resourceType).some((rule) => !rule.restriction);
  }

  /** The first rule that grants `interaction` on this resource. */
  ruleFor(
    interaction: AccessPolicyInteraction,
    version: Version,
    resource: StoredResource,
  ): AccessPolicyResource | undefined {
    const { resourceType } = resource;
    return this.rulesFor(interaction, resourceType).find(({ restriction }) =>
      (restriction?.(resourceType) ?? []).every(({ matches }) => matches(version, resource)),
    )?.source;
  }

  /** The rules as one filter for a search; `undefined` when nothing is restricted. */
  searchFilter(resourceType: string): CompiledFilter | undefined {
    const rules = this.rulesFor('search', resourceType);
    if (rules.some((rule) => !rule.restriction)) {
      return undefined;
    }
    const alternatives = rules.map(({ restriction }) => restriction?.(resourceType) ?? []);
    const lookup = alternatives.length === 1 ? alternatives[0]?.find((filter) => filter.lookup)?.lookup : undefined;
    const matches: Predicate = (version, resource) =>
      alternatives.some((filters) => filters.every((filter) => filter.matches(version, resource)));
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
    // `readonly` counts only where `interaction` is not given.
    return rule.interaction ? rule.interaction.includes(interaction) : !rule.readonly || READING.includes(interaction);
  }

  private restrictionOf(rule: AccessPolicyResource): Pick<PolicyRule, 'restriction'> {
    const { criteria, compartment } = rule;
    // Binary has no search parameters, so neither criteria nor compartments can restrict it.
    if ((!criteria && !compartment?.reference) || rule.resourceType === 'Binary') {
      return {};
    }
    const byType = new Map<string, CompiledFilter[]>();
    return {
      restriction: (resourceType) => {
        let filters = byType.get(resourceType);
        if (!filters) {
          filters = compileRestriction(this.scope, resourceType, criteria, compartment?.reference);
          // A chain's targets may change between two requests: such criteria are compiled anew.
          if (!/[?&](_has:|[^=&]*\.)/.test(criteria ?? '')) {
            byType.set(resourceType, filters);
          }
        }
        return filters;
      },
    };
  }
}

/** Criteria that cannot be understood match nothing: a broken rule must not open a door. */
function compileRestriction(
  scope: SearchScope,
  resourceType: string,
  criteria: string | undefined,
  compartment: string | undefined,
): CompiledFilter[] {
  try {
    const request = core.parseSearchRequest(criteria ?? resourceType);
    if (request.resourceType !== resourceType && (request.resourceType as string) !== '*') {
      return [{ matches: () => false }];
    }
    // Criteria on every type (`*?_compartment=...`) are parsed without a type; parse them again for this one.
    const query = criteria?.slice(criteria.indexOf('?') + 1) ?? '';
    const filters = core.parseSearchRequest(`${resourceType}?${query}`).filters ?? [];
    const all = compartment
      ? [...filters, { code: '_compartment', operator: 'eq' as const, value: compartment }]
      : filters;
    return all.map((filter) => compileFilter(scope, resourceType, filter));
  } catch {
    return [{ matches: () => false }];
  }
}

/** The types that a project administrator's policy names for him. Other projects are out of reach for everybody. */
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
 * The rules that the server makes of a membership's policies: rules on administration types count only for
 * administrators and are the server's own, two definition types are readable for everybody.
 *
 * @param policies Policies of the membership with their variables filled in; `undefined` when it has none.
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

/** Replaces `%name` and `%name.id` in a policy. Of several parameters with one name the first counts. */
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
