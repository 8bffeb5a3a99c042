import { core } from './medplum-peers';
import type { CompileFilter, Predicate, SearchScope } from './search.types';
import { searchValues } from './search-values';
import { currentVersion } from './store';

/** `subject:Patient.family=x` finds the resources that refer to a match. Policies do not apply to the targets. */
export function compileChain(
  scope: SearchScope,
  resourceType: string,
  code: string,
  value: string,
  compile: CompileFilter,
): Predicate {
  const dot = code.indexOf('.');
  const [link = '', targetType] = code.slice(0, dot).split(':');
  const rest = code.slice(dot + 1);
  const parameter = core.getSearchParameter(resourceType, link);
  if (parameter?.type !== 'reference') {
    throw invalidChain(resourceType, link);
  }
  const targets = targetType ? [targetType] : (parameter.target ?? []);
  if (targets.length !== 1) {
    throw new core.OperationOutcomeError(
      core.badRequest(`Unable to identify next resource type for search parameter: ${resourceType}?${link}`),
    );
  }
  const references = new Set<string>();
  for (const target of targets) {
    for (const [reference] of matching(scope, target, rest, value, compile)) {
      references.add(reference);
    }
  }
  return (version, resource) => {
    const values = searchValues(version, resource, link);
    return values.kind === 'reference' && values.values.some((reference) => references.has(reference));
  };
}

/** `_has:Observation:subject:status=x` finds the resources that a match refers to. */
export function compileReverseChain(
  scope: SearchScope,
  resourceType: string,
  code: string,
  value: string,
  compile: CompileFilter,
): Predicate {
  const [, otherType = '', link = '', ...rest] = code.split(':');
  if (rest.length === 0 || core.getSearchParameter(otherType, link)?.type !== 'reference') {
    throw invalidChain(otherType, link);
  }
  const references = new Set<string>();
  for (const [, version, resource] of matching(scope, otherType, rest.join(':'), value, compile)) {
    const values = searchValues(version, resource, link);
    for (const reference of values.kind === 'reference' ? values.values : []) {
      references.add(reference);
    }
  }
  return (_version, resource) => references.has(`${resourceType}/${resource.id}`);
}

function* matching(
  scope: SearchScope,
  resourceType: string,
  code: string,
  value: string,
  compile: CompileFilter,
): Iterable<[reference: string, ...Parameters<Predicate>]> {
  const [filter] = core.parseSearchRequest(resourceType, { [code]: value }).filters ?? [];
  if (!filter) {
    throw invalidChain(resourceType, code);
  }
  const { matches } = compile(scope, resourceType, filter);
  for (const row of scope.store.rows(resourceType)) {
    const version = currentVersion(row);
    if (version.resource && row.project === scope.project && matches(version, version.resource)) {
      yield [`${resourceType}/${row.id}`, version, version.resource];
    }
  }
}

function invalidChain(resourceType: string, code: string): Error {
  return new core.OperationOutcomeError(core.badRequest(`Invalid search parameter in chain: ${resourceType}?${code}`));
}
