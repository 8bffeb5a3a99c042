import type { Filter } from '@medplum/core';
import { core } from './medplum-peers';
import { parameterFilter } from './search-query';
import { parameterShape } from './search-parameter';
import type { CompileFilter, Predicate, SearchScope } from './search.types';
import { findParameter, searchValues } from './search-values';
import { currentVersion, type Row } from './store';

/** How many links a chain may have. */
const MAX_LINKS = 3;

/** One step of a chain, from a resource to one that it refers to or, in reverse, to one that refers to it. */
interface Link {
  readonly from: string;
  readonly to: string;
  readonly code: string;
  readonly isReverse: boolean;
  readonly isCanonical: boolean;
}

/**
 * Compiles a chain: `subject:Patient.family=x` finds resources that refer to a match, `_has:Observation:subject:status=x`
 * those that a match refers to. Policies do not apply to the resources on the way.
 *
 * @throws OperationOutcomeError 400 for a chain that leads nowhere
 */
export function compileChain(
  scope: SearchScope,
  resourceType: string,
  searched: Filter,
  compile: CompileFilter,
): Predicate {
  const { links, filter } = parseChain(resourceType, searched);
  const [only] = links;
  if (links.length > MAX_LINKS) {
    refuse('Search chains longer than three links are not currently supported');
  }
  if (only && links.length === 1 && filter.code === '_id' && !only.isReverse) {
    // Like the server, this compares the reference alone. So the target need not exist.
    return compile(scope, resourceType, { code: only.code, operator: 'eq', value: `${only.to}/${filter.value}` })
      .matches;
  }
  const target = links.at(-1)?.to ?? resourceType;
  const { matches } = compile(scope, target, filter);
  let reached = keysOf(scope, target, matches);
  for (const link of links.slice(1).toReversed()) {
    const step = stepTo(scope, link, reached);
    reached = keysOf(scope, link.from, step);
  }
  return only ? stepTo(scope, only, reached) : () => false;
}

/** The references and canonical URLs of all matches of a type. */
function keysOf(scope: SearchScope, resourceType: string, matches: Predicate): ReadonlySet<string> {
  const keys = new Set<string>();
  for (const row of scope.store.rows(resourceType)) {
    const version = currentVersion(row);
    if (version.resource && row.project === scope.project && matches(version, version.resource) === true) {
      keys.add(`${resourceType}/${row.id}`);
      const { url } = version.resource as { url?: unknown };
      if (typeof url === 'string') {
        keys.add(url);
      }
    }
  }
  return keys;
}

/** Whether a resource is one step of the chain before a reached one. */
function stepTo(
  scope: SearchScope,
  { from, to, code, isReverse, isCanonical }: Link,
  reached: ReadonlySet<string>,
): Predicate {
  if (isCanonical && !findParameter(isReverse ? from : to, 'url')) {
    refuse(`${isReverse ? from : to} cannot be chained via canonical reference (${isReverse ? to : from}:${code})`);
  }
  if (!isReverse) {
    return (version, resource) => {
      const values = searchValues(version, resource, code);
      return values.kind === 'text' && values.values.some((reference) => reached.has(reference));
    };
  }
  const referred = new Set<string>();
  for (const key of reached) {
    const row = rowOf(scope, to, key);
    const version = row && currentVersion(row);
    const values = version?.resource && searchValues(version, version.resource, code);
    for (const reference of values?.kind === 'text' ? values.values : []) {
      referred.add(reference);
    }
  }
  return (_version, resource) =>
    referred.has(isCanonical ? ((resource as { url?: string }).url ?? '') : `${from}/${resource.id}`);
}

function rowOf({ store }: SearchScope, resourceType: string, key: string): Row | undefined {
  return key.startsWith(`${resourceType}/`) ? store.get(resourceType, key.slice(resourceType.length + 1)) : undefined;
}

function parseChain(resourceType: string, searched: Filter): { links: Link[]; filter: Filter } {
  const parts = splitChain(searched.code);
  const links: Link[] = [];
  let current = resourceType;
  for (const [index, part] of parts.entries()) {
    if (part.startsWith('_has')) {
      links.push(reverseLink(part, current));
    } else if (index === parts.length - 1) {
      return { links, filter: lastFilter(part, current, searched) };
    } else {
      links.push(forwardLink(part, current));
    }
    current = links.at(-1)?.to ?? current;
  }
  return refuse('Unterminated chained search');
}

function lastFilter(part: string, resourceType: string, { operator, value }: Filter): Filter {
  const [code = '', modifier] = core.splitN(part, ':', 2);
  if (code === '_filter') {
    return { code, operator: 'eq', value };
  }
  const parameter = findParameter(resourceType, code);
  return parameter
    ? parameterFilter(parameter, modifier ?? operator, value)
    : refuse(`Invalid search parameter at end of chain: ${resourceType}?${code}`);
}

function forwardLink(part: string, from: string): Link {
  const [code = '', modifier = ''] = core.splitN(part, ':', 2);
  const parameter = findParameter(from, code) ?? refuse(`Invalid search parameter in chain: ${from}?${code}`);
  const targets: readonly string[] = parameter.target ?? [];
  const [single] = targets;
  const to = targets.length === 1 ? single : targets.includes(modifier) ? modifier : undefined;
  if (to === undefined) {
    return refuse(`Unable to identify next resource type for search parameter: ${from}?${code}`);
  }
  return { from, to, code, isReverse: false, isCanonical: parameterShape(from, parameter).isCanonical };
}

function reverseLink(part: string, from: string): Link {
  const [, to = '', code = ''] = core.splitN(part, ':', 3);
  const parameter = findParameter(to, code) ?? refuse(`Invalid search parameter in chain: ${to}?${code}`);
  if (!(parameter.target as readonly string[] | undefined)?.includes(from)) {
    refuse(`Invalid reverse chain link: search parameter ${to}?${code} does not refer to ${from}`);
  }
  return { from, to, code, isReverse: true, isCanonical: parameterShape(to, parameter).isCanonical };
}

/** `_has:Observation:subject:code` has the parts `_has:Observation:subject` and `code`; elsewhere a dot separates them. */
function splitChain(code: string): string[] {
  const parts: string[] = [];
  let rest = code;
  while (rest) {
    if (rest.startsWith('_has:')) {
      const typeEnd = rest.indexOf(':', 5);
      const codeEnd = rest.indexOf(':', typeEnd + 1);
      if (typeEnd < 0 || typeEnd >= codeEnd) {
        refuse(`Invalid search chain: ${rest}`);
      }
      parts.push(rest.slice(0, codeEnd));
      rest = rest.slice(codeEnd + 1);
    } else {
      const dot = rest.indexOf('.');
      parts.push(dot < 0 ? rest : rest.slice(0, dot));
      rest = dot < 0 ? '' : rest.slice(dot + 1);
    }
  }
  return parts;
}

function refuse(text: string): never {
  throw new core.OperationOutcomeError(core.badRequest(text));
}
