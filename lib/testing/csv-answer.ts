import type { Answer } from './exchange';
import { isRecord } from './is-record';
import { core } from './medplum-peers';
import { fail } from './outcome-error';
import type { EmulatorRepository } from './repository';
import { parseQuery } from './search-query';

/** `GET <type>/$csv?_fields=...`: up to 1000 matches, one per line. A field is a search parameter or a FHIRPath expression. */
export async function csvAnswer(repository: EmulatorRepository, resourceType: string, query: string): Promise<Answer> {
  const parameters = new URLSearchParams(query);
  const fields = parameters.get('_fields');
  parameters.delete('_fields');
  if (!fields) {
    return fail(core.badRequest('Missing _fields parameter'));
  }
  if (!repository.isKnownType(resourceType)) {
    return fail(core.badRequest('Unsupported resource type'));
  }
  const columns = fields.split(',');
  const expressions = columns.map((name) => core.getSearchParameter(resourceType, name)?.expression ?? name);
  const grouped: Record<string, string[]> = {};
  for (const [name, value] of parameters) {
    (grouped[name] ??= []).push(value);
  }
  const resources = await repository.searchResources({ ...parseQuery(resourceType, grouped), count: 1000 });
  const rows = resources.map((resource) => expressions.map((expression) => cell(valuesOf(expression, resource)[0])));
  return {
    status: 200,
    contentType: 'text/csv; charset=utf-8',
    headers: { 'content-disposition': 'attachment; filename=export.csv' },
    body: `\uFEFF${[columns, ...rows].map((row) => row.join(',')).join('\n')}`,
  };
}

function valuesOf(expression: string, resource: unknown): unknown[] {
  try {
    return core.evalFhirPath(expression, resource);
  } catch {
    return fail(core.badRequest('Invalid FHIRPath expression'));
  }
}

function cell(value: unknown): string {
  if (typeof value === 'number' || typeof value === 'boolean') {
    return value ? String(value) : '';
  }
  const text = typeof value === 'string' ? value : isRecord(value) ? textOfObject(value) : undefined;
  return text ? quoted(text) : '';
}

/** The text of an address, a name, a contact point, a reference or a concept. */
function textOfObject(value: Record<string, unknown>): string | undefined {
  if ('city' in value) {
    return core.formatAddress(value);
  }
  if ('family' in value) {
    return core.formatHumanName(value);
  }
  const [coding] = Array.isArray(value.coding) ? (value.coding as Record<string, unknown>[]) : [];
  const found = [value.value, value.display, coding?.display, coding?.code, value.text];
  return found.find((text): text is string => typeof text === 'string');
}

/** A spreadsheet would run a text that starts like a formula, so such a text gets an apostrophe. */
function quoted(text: string): string {
  const trimmed = text.trim().replaceAll('"', '""');
  return `"${/^[=+@-]/.test(trimmed) ? "'" : ''}${trimmed}"`;
}
