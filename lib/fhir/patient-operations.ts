import type { ParametersParameter, Reference } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { MedplumBadRequestError } from '../errors/response.errors';
import type { OperationCall } from './operations';
import { checkId, checkResourceType, checkResourceTypes } from './path-segments';
import { referenceTo } from './search-values';

/** Input of `$everything` (FHIR R4 section 10.1.18.3). */
export interface EverythingInput {
  /** Returns only resources of these types. */
  readonly types?: readonly string[] | undefined;
  /** Returns only resources that changed since this instant (FHIR `instant`). */
  readonly since?: string | undefined;
  /** First care date (FHIR `date`). */
  readonly start?: string | undefined;
  /** Last care date (FHIR `date`). */
  readonly end?: string | undefined;
  /** Most resources in the response. */
  readonly count?: number | undefined;
  /** Number of resources to skip. */
  readonly offset?: number | undefined;
}

function optional(name: string, value: unknown, type: string): ParametersParameter[] {
  return value === undefined ? [] : [{ name, [type]: value }];
}

/**
 * Describes `Patient/[id]/$everything`. Servers up to 5.0 fail on a single `_type` in the query, so types are sent as
 * Parameters.
 */
export function everything(id: string, input: EverythingInput): OperationCall {
  const resourceId = checkId(id, 'id of the Patient');
  const { types, since, start, end, count, offset } = input;
  const call = { operation: '$everything', resourceType: 'Patient', id: resourceId } as const;
  if (types === undefined) {
    return { ...call, method: 'GET', input: { _since: since, start, end, _count: count, _offset: offset } };
  }
  const parameter: ParametersParameter[] = [
    ...checkResourceTypes(types, 'types of $everything').map((type) => ({ name: '_type', valueCode: type })),
    ...optional('_since', since, 'valueInstant'),
    ...optional('start', start, 'valueDate'),
    ...optional('end', end, 'valueDate'),
    ...optional('_count', count, 'valueInteger'),
    ...optional('_offset', offset, 'valueInteger'),
  ];
  return { ...call, input: { resourceType: 'Parameters', parameter }, readOnly: true };
}

/** Describes `[type]/[id]/$set-accounts`. */
export function setAccounts(
  type: string,
  id: string,
  input: { readonly accounts: readonly Reference[]; readonly propagate?: boolean },
): OperationCall {
  const resourceType = checkResourceType(type);
  const resourceId = checkId(id, `id of the ${resourceType}`);
  const { accounts, propagate } = input;
  if (!Array.isArray(accounts)) {
    throw new MedplumBadRequestError('The accounts must be a list of references. An empty list removes all accounts.');
  }
  const parameter: ParametersParameter[] = accounts.map((account: Reference) => ({
    name: 'accounts',
    valueReference: { reference: String(referenceTo(account)) },
  }));
  if (propagate) {
    parameter.push({ name: 'propagate', valueBoolean: true });
  }
  return { operation: '$set-accounts', resourceType, id: resourceId, input: { resourceType: 'Parameters', parameter } };
}
