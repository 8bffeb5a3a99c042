import type { FhirRequest } from '@medplum/fhir-router';
import type { Parameters } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { isRecord } from './is-record';

/** The input of an operation: the query of a GET, the values of a Parameters resource, or the members of another body. */
export function operationInput({ method, query, body }: FhirRequest): Readonly<Record<string, unknown>> {
  if (method === 'GET') {
    return query;
  }
  if (!isRecord(body) || body.resourceType !== 'Parameters') {
    return isRecord(body) ? body : {};
  }
  const input: Record<string, unknown> = {};
  const { parameter } = body as unknown as Parameters;
  for (const entry of Array.isArray(parameter) ? parameter : []) {
    const { name, resource, ...rest } = entry;
    const value = resource ?? Object.entries(rest).find(([key]) => key.startsWith('value'))?.[1];
    if (name) {
      input[name] = input[name] === undefined ? value : [input[name], value].flat();
    }
  }
  return input;
}

/** A single text of the input; `undefined` if it is missing or no text. */
export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** A number of the input, which may come as text; `undefined` if it is missing or no number. */
export function numberOf(value: unknown): number | undefined {
  const number = typeof value === 'number' ? value : Number.parseInt(textOf(value) ?? '', 10);
  return Number.isNaN(number) ? undefined : number;
}
