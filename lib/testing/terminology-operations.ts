import type { FhirRequest, FhirResponse, FhirRouter } from '@medplum/fhir-router';
import type { CodeSystem, Coding, Parameters, ParametersParameter } from '@medplum/fhirtypes' with {
  'resolution-mode': 'import',
};
import { core } from './medplum-peers';
import { operationInput, textOf } from './operation-input';
import { fail } from './outcome-error';
import { emulated, type EmulatorRepository } from './repository';
import {
  codesOf,
  findTerminology,
  isBelow,
  PARENT_PROPERTY,
  requireHierarchy,
  type CodeEntry,
} from './terminology-source';
import { expand, validateInValueSet } from './value-set-operations';

/** Adds the operations on code systems and value sets. */
export function addTerminology(router: FhirRouter): void {
  const onBoth = (path: string, handler: typeof lookup): void => {
    for (const method of ['GET', 'POST'] as const) {
      router.add(method, path, handler);
    }
  };
  onBoth('ValueSet/$expand', expand);
  for (const [type, name, handler] of [
    ['CodeSystem', '$lookup', lookup],
    ['CodeSystem', '$validate-code', validateCode],
    ['CodeSystem', '$subsumes', subsumes],
    ['ValueSet', '$validate-code', validateInValueSet],
  ] as const) {
    onBoth(`${type}/${name}`, handler);
    onBoth(`${type}/:id/${name}`, handler);
  }
}

function parameters(parameter: ParametersParameter[]): Parameters {
  return { resourceType: 'Parameters', parameter };
}

async function codeSystemOf(
  repository: EmulatorRepository,
  { params }: FhirRequest,
  url: string | undefined,
  version: unknown,
): Promise<CodeSystem | undefined> {
  if (params.id) {
    return repository.readResource<CodeSystem>('CodeSystem', params.id);
  }
  return url ? findTerminology<CodeSystem>(repository, 'CodeSystem', url, textOf(version)) : undefined;
}

async function validateCode(request: FhirRequest, repository: unknown): Promise<FhirResponse> {
  const { url, code, coding, version } = operationInput(request) as { coding?: Coding } & Record<string, unknown>;
  const system = textOf(url) ?? coding?.system;
  const source = emulated(repository);
  const codeSystem = await codeSystemOf(source, request, system, version).catch((error: unknown) => {
    // An unknown code system may hold any code.
    return request.params.id ? Promise.reject(error) : undefined;
  });
  if (!codeSystem && !system) {
    return [core.badRequest('No code system specified')];
  }
  const searched = coding ?? (textOf(code) ? { system: system ?? codeSystem?.url, code: textOf(code) } : undefined);
  if (!searched) {
    return [core.badRequest('No coding specified')];
  }
  const found = validCoding(codeSystem ?? system ?? '', searched);
  return [
    core.allOk,
    parameters([
      { name: 'result', valueBoolean: found !== undefined },
      ...(found?.display ? [{ name: 'display', valueString: found.display }] : []),
    ]),
  ];
}

/** The coding with its display, if the code system has it. Of an unknown code system, only its URL must agree. */
export function validCoding(codeSystem: CodeSystem | string, coding: Coding): Coding | undefined {
  if (typeof codeSystem === 'string') {
    return coding.system === codeSystem ? coding : undefined;
  }
  const entry = coding.code === undefined ? undefined : codesOf(codeSystem).get(coding.code);
  return entry && (!coding.system || coding.system === codeSystem.url)
    ? { ...(codeSystem.url && { system: codeSystem.url }), code: entry.code, ...displayOf(coding, entry) }
    : undefined;
}

function displayOf(coding: Coding, entry: CodeEntry): Pick<Coding, 'display'> {
  const display = coding.display ?? entry.display;
  return display ? { display } : {};
}

async function lookup(request: FhirRequest, repository: unknown): Promise<FhirResponse> {
  const { system, code, coding, version } = operationInput(request) as { coding?: Coding } & Record<string, unknown>;
  const codeSystem = await codeSystemOf(emulated(repository), request, textOf(system) ?? coding?.system, version);
  if (!codeSystem) {
    return [core.badRequest('No code system specified')];
  }
  if (coding && !coding.code) {
    return [core.badRequest('No code specified')];
  }
  const searched = coding?.code ?? textOf(code) ?? fail(core.badRequest('No coding specified'));
  const codes = codesOf(codeSystem);
  const wrongSystem = coding?.system !== undefined && coding.system !== codeSystem.url;
  const entry = (wrongSystem ? undefined : codes.get(searched)) ?? fail(core.notFound);
  const { title, name, url = '' } = codeSystem;
  return [
    core.allOk,
    parameters([
      { name: 'name', valueString: title ?? name ?? url },
      { name: 'display', valueString: entry.display ?? '' },
      ...designations(entry),
      ...properties(codeSystem, codes, entry),
    ]),
  ];
}

function designations({ concept }: CodeEntry): ParametersParameter[] {
  return (concept.designation ?? []).map(({ language, value }) => ({
    name: 'designation',
    part: [...(language ? [{ name: 'language', valueCode: language }] : []), { name: 'value', valueString: value }],
  }));
}

function properties(
  { hierarchyMeaning, property: defined = [] }: CodeSystem,
  codes: ReadonlyMap<string, CodeEntry>,
  { concept, parents }: CodeEntry,
): ParametersParameter[] {
  const own = (concept.property ?? []).flatMap(({ code, ...values }) => {
    const definition = defined.find((candidate) => candidate.code === code);
    const [key, value] = Object.entries(values).find(([name]) => name.startsWith('value')) ?? [];
    const target = typeof value === 'string' ? codes.get(value)?.display : undefined;
    return definition && key ? [propertyPart(code, { [key]: value }, target ?? definition.description)] : [];
  });
  const named = new Set((concept.property ?? []).map(({ valueCode }) => valueCode));
  const implied = parents.filter((parent) => !named.has(parent));
  const code = defined.find(({ uri }) => uri === PARENT_PROPERTY)?.code ?? hierarchyMeaning ?? 'parent';
  return [...own, ...implied.map((parent) => propertyPart(code, { valueCode: parent }, codes.get(parent)?.display))];
}

function propertyPart(
  code: string,
  value: Record<string, unknown>,
  description: string | undefined,
): ParametersParameter {
  return {
    name: 'property',
    part: [
      { name: 'code', valueCode: code },
      { name: 'value', ...value },
      ...(description ? [{ name: 'description', valueString: description }] : []),
    ],
  };
}

async function subsumes(request: FhirRequest, repository: unknown): Promise<FhirResponse> {
  const { system, codeA, codeB, version } = operationInput(request);
  const codeSystem = await codeSystemOf(emulated(repository), request, textOf(system), version);
  if (!codeSystem) {
    return [core.badRequest('No code system specified')];
  }
  const [left, right] = [textOf(codeA), textOf(codeB)];
  if (!left || !right) {
    return [core.badRequest('Must specify codeA and codeB parameters')];
  }
  requireHierarchy(codeSystem);
  const codes = codesOf(codeSystem);
  const [below, above] = [isBelow(codes, left, right), isBelow(codes, right, left)];
  const outcome = below && above ? 'equivalent' : above ? 'subsumes' : below ? 'subsumed-by' : 'not-subsumed';
  return [core.allOk, parameters([{ name: 'outcome', valueCode: outcome }])];
}
