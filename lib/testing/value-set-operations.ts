import type { FhirRequest, FhirResponse } from '@medplum/fhir-router';
import type {
  CodeableConcept,
  CodeSystem,
  Coding,
  ValueSet,
  ValueSetComposeInclude,
  ValueSetExpansionContains,
} from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { core } from './medplum-peers';
import { numberOf, operationInput, textOf } from './operation-input';
import { fail } from './outcome-error';
import { emulated, type EmulatorRepository } from './repository';
import { codesOf, findTerminology, isBelow, requireHierarchy, type CodeEntry } from './terminology-source';

/** How many codes an expansion lists at most. */
const MAX_CODES = 1000;
/** How many codes a filtered expansion lists without a `count`. */
const FILTERED_CODES = 10;
/** How deep value sets may include each other. */
const MAX_DEPTH = 20;

interface ExpansionInput {
  readonly filter: string | undefined;
  readonly count: number | undefined;
  readonly offset: number;
}

/** `ValueSet/$expand`: the codes of a value set. */
export async function expand(request: FhirRequest, repository: unknown): Promise<FhirResponse> {
  const { url, filter, count, offset, valueSet: given } = operationInput(request);
  if (filter !== undefined && typeof filter !== 'string') {
    return [core.badRequest('Invalid filter')];
  }
  const canonical = textOf(url);
  if (!given && !canonical) {
    return [core.badRequest('Missing url')];
  }
  const source = emulated(repository);
  const valueSet =
    (given as ValueSet | undefined) ?? (await findTerminology<ValueSet>(source, 'ValueSet', canonical ?? ''));
  const limit = numberOf(count) ?? (filter ? FILTERED_CODES : undefined);
  const found = await codesOfValueSet(source, valueSet, { filter, count: limit, offset: numberOf(offset) ?? 0 }, 0);
  const isLarge = found.length >= MAX_CODES;
  const expansion = {
    total: isLarge ? MAX_CODES + 1 : found.length,
    timestamp: new Date().toISOString(),
    contains: found.slice(0, isLarge ? MAX_CODES : limit),
  };
  return [core.allOk, { ...valueSet, expansion }];
}

async function codesOfValueSet(
  source: EmulatorRepository,
  { compose, expansion }: ValueSet,
  input: ExpansionInput,
  depth: number,
): Promise<ValueSetExpansionContains[]> {
  const listed = expansion?.contains;
  if (listed?.length && !expansion?.parameter && (!expansion?.total || expansion.total === listed.length)) {
    return filtered(flattened(listed), input.filter);
  }
  if (!compose?.include?.length) {
    return fail(core.badRequest('Missing ValueSet definition', 'ValueSet.compose.include'));
  }
  if (depth > MAX_DEPTH) {
    return fail(core.badRequest('ValueSets include each other'));
  }
  const found: ValueSetExpansionContains[] = [];
  for (const include of compose.include) {
    if (found.length >= (input.count ?? MAX_CODES)) {
      break;
    }
    for (const url of include.valueSet ?? []) {
      const inner = await findTerminology<ValueSet>(source, 'ValueSet', url);
      found.push(...(await codesOfValueSet(source, inner, input, depth + 1)));
    }
    if (!include.valueSet) {
      found.push(...(await includedCodes(source, include, input)));
    }
  }
  return found;
}

async function includedCodes(
  source: EmulatorRepository,
  include: ValueSetComposeInclude,
  { filter, count, offset }: ExpansionInput,
): Promise<ValueSetExpansionContains[]> {
  const system = requireSystem(include);
  const codeSystem = await findTerminology<CodeSystem>(source, 'CodeSystem', system);
  const codes = codesOf(codeSystem);
  const coding = ({ code, display }: Pick<CodeEntry, 'code' | 'display'>): ValueSetExpansionContains => ({
    system,
    code,
    ...(display && { display }),
  });
  if (include.concept) {
    const listed = include.concept.flatMap((concept) => {
      const entry = codes.get(concept.code);
      return entry ? [coding({ code: entry.code, display: concept.display ?? entry.display })] : [];
    });
    return filtered(listed, filter);
  }
  const accepts = conceptFilter(codeSystem, codes, include);
  const words = (filter ?? '').toLowerCase().split(/\s+/).filter(Boolean);
  const found = [...codes.values()].filter((entry) => accepts(entry) && matchesWords(entry, filter, words));
  return found.slice(offset, offset + (count ?? MAX_CODES) + 1).map(coding);
}

function matchesWords(
  { code, display = '' }: CodeEntry,
  filter: string | undefined,
  words: readonly string[],
): boolean {
  return code === filter || words.every((word) => display.toLowerCase().includes(word));
}

/** Whether a code fulfils all filters of an include. Unknown kinds of filters accept nothing. */
function conceptFilter(
  codeSystem: CodeSystem,
  codes: ReadonlyMap<string, CodeEntry>,
  { filter = [] }: ValueSetComposeInclude,
): (entry: CodeEntry) => boolean {
  const tests = filter.map(({ op, property, value }): ((entry: CodeEntry) => boolean) => {
    switch (op) {
      case 'is-a':
      case 'descendent-of':
        requireHierarchy(codeSystem);
        return ({ code }) => (op === 'is-a' || code !== value) && isBelow(codes, code, value);
      case '=':
      case 'in': {
        const wanted = op === 'in' ? value.split(',') : [value];
        return ({ concept }) =>
          (concept.property ?? []).some(
            ({ code, ...values }) =>
              code === property &&
              Object.values(values).some((found) => wanted.includes(JSON.stringify(found).replaceAll('"', ''))),
          );
      }
      default:
        return () => false;
    }
  });
  return (entry) => tests.every((test) => test(entry));
}

function requireSystem({ system }: ValueSetComposeInclude): string {
  return system ?? fail(core.badRequest('Missing system URL for ValueSet include', 'ValueSet.compose.include.system'));
}

function flattened(contains: readonly ValueSetExpansionContains[]): ValueSetExpansionContains[] {
  return contains.flatMap(({ contains: inner = [], system, code, display }) => [
    ...flattened(inner),
    { ...(system && { system }), ...(code && { code }), ...(display && { display }) },
  ]);
}

function filtered(
  codes: readonly ValueSetExpansionContains[],
  filter: string | undefined,
): ValueSetExpansionContains[] {
  const part = filter?.trim().toLowerCase();
  return part ? codes.filter(({ display }) => display?.toLowerCase().includes(part)) : [...codes];
}

/** `ValueSet/$validate-code`: whether a value set has a code. */
export async function validateInValueSet(request: FhirRequest, repository: unknown): Promise<FhirResponse> {
  const source = emulated(repository);
  const input = operationInput(request) as Record<string, unknown> & {
    coding?: Coding;
    codeableConcept?: CodeableConcept;
  };
  const [url, system, code, display] = [input.url, input.system, input.code, input.display].map(textOf);
  const valueSet = request.params.id
    ? await source.readResource<ValueSet>('ValueSet', request.params.id)
    : url
      ? await findTerminology<ValueSet>(source, 'ValueSet', url)
      : fail(core.badRequest('No ValueSet specified'));
  const codings =
    system && code
      ? [{ system, code, ...(display && { display }) }]
      : [input.coding ?? input.codeableConcept?.coding].flat();
  const searched = codings.flatMap((coding) => coding ?? []);
  if (searched.length === 0) {
    return [core.badRequest('No coding specified')];
  }
  const found = await findInValueSet(source, valueSet, searched);
  const result = found !== undefined && (!display || found.display === display);
  const parameter = [
    { name: 'result', valueBoolean: result },
    ...(found?.display ? [{ name: 'display', valueString: found.display }] : []),
  ];
  return [core.allOk, { resourceType: 'Parameters', parameter }];
}

async function findInValueSet(
  source: EmulatorRepository,
  { compose }: ValueSet,
  codings: readonly Coding[],
): Promise<Coding | undefined> {
  for (const include of compose?.include ?? []) {
    const system = requireSystem(include);
    const codeSystem = await findTerminology<CodeSystem>(source, 'CodeSystem', system).catch(() => undefined);
    const codes = codeSystem && codesOf(codeSystem);
    for (const coding of codings.filter((candidate) => candidate.code && (candidate.system ?? system) === system)) {
      const entry = codes?.get(coding.code ?? '');
      const listed = include.concept?.some(({ code }) => code === coding.code) ?? true;
      const accepted =
        !include.filter || (codeSystem && codes && entry && conceptFilter(codeSystem, codes, include)(entry));
      if (listed && accepted && (entry || !codes)) {
        return { system, ...coding, ...(!coding.display && entry?.display && { display: entry.display }) };
      }
    }
  }
  return undefined;
}
