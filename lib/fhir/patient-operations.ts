import type { ParametersParameter, Reference } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { MedplumBadRequestError } from '../errors/response.errors';
import type { OperationCall } from './operations';
import { checkId, checkResourceType } from './path-segments';
import { referenceTo } from './search-values';

/** Input of `$everything` (FHIR R4 section 10.1.18.3). */
export interface EverythingInput {
  /** Only resources of these types. */
  readonly types?: readonly string[];
  /** Only what was changed since then: an instant. */
  readonly since?: string;
  /** Care dates from this day on. */
  readonly start?: string;
  /** Care dates up to this day. */
  readonly end?: string;
  /** Most resources in the answer. */
  readonly count?: number;
  /** How many resources are skipped. */
  readonly offset?: number;
}

function optional(name: string, value: unknown, type: string): ParametersParameter[] {
  return value === undefined ? [] : [{ name, [type]: value }];
}

/**
 * `Patient/[id]/$everything`. Servers up to 5.0 fail on a single `_type` in the query, so types are sent as Parameters.
 */
export function everything(id: string, input: EverythingInput): OperationCall {
  const resourceId = checkId(id, 'id of the Patient');
  const { types, since, start, end, count, offset } = input;
  const on = { operation: '$everything', resourceType: 'Patient', id: resourceId } as const;
  if (types === undefined) {
    return { ...on, method: 'GET', input: { _since: since, start, end, _count: count, _offset: offset } };
  }
  if (!Array.isArray(types) || types.length === 0) {
    throw new MedplumBadRequestError('types of $everything must be a list of at least one resource type.');
  }
  const parameter: ParametersParameter[] = [
    ...types.map((type) => ({ name: '_type', valueCode: checkResourceType(type) })),
    ...optional('_since', since, 'valueInstant'),
    ...optional('start', start, 'valueDate'),
    ...optional('end', end, 'valueDate'),
    ...optional('_count', count, 'valueInteger'),
    ...optional('_offset', offset, 'valueInteger'),
  ];
  return { ...on, input: { resourceType: 'Parameters', parameter }, readOnly: true };
}

/** `[type]/[id]/$set-accounts`. */
export function setAccounts(
  type: string,
  id: string,
  input: { readonly accounts: readonly Reference[]; readonly propagate?: boolean },
): OperationCall {
  const resourceType = checkResourceType(type);
  const resourceId = checkId(id, `id of the ${resourceType}`);
  const { accounts, propagate } = input;
  if (!Array.isArray(accounts)) {
    throw new MedplumBadRequestError('accounts must be a list of references; an empty one takes all accounts away.');
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
