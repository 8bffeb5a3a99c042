import type { Bundle, CodeSystem, CodeSystemConcept, ValueSet } from '@medplum/fhirtypes' with {
  'resolution-mode': 'import',
};
import { core, definitions } from './medplum-peers';
import { fail } from './outcome-error';
import type { EmulatorRepository } from './repository';

type TerminologyType = 'CodeSystem' | 'ValueSet';
type Terminology = CodeSystem | ValueSet;

const FILES = ['v2-tables', 'v3-codesystems', 'valuesets', 'valuesets-medplum', 'valuesets-medplum-generated'];

let builtIn: ReadonlyMap<string, Terminology> | undefined;

/** The code systems and value sets of the definitions. They are read once per process, when somebody first asks for one. */
function definedTerminology(): ReadonlyMap<string, Terminology> {
  if (!builtIn) {
    const found = new Map<string, Terminology>();
    const lastUpdated = new Date().toISOString();
    for (const file of FILES) {
      const { entry = [] } = definitions.readJson(`fhir/r4/${file}.json`) as Bundle;
      for (const { resource } of entry) {
        if (resource?.resourceType === 'CodeSystem' || resource?.resourceType === 'ValueSet') {
          found.set(`${resource.resourceType} ${resource.url}`, asStored(resource, lastUpdated));
        }
      }
    }
    builtIn = found;
  }
  return builtIn;
}

/** As on the server, which stores the definitions, they have an id and a version. */
function asStored<T extends Terminology>(resource: T, lastUpdated: string): T {
  return { ...resource, id: core.generateId(), meta: { ...resource.meta, versionId: core.generateId(), lastUpdated } };
}

/**
 * Finds a code system or value set by its URL, first in the project, then in the definitions.
 *
 * @throws OperationOutcomeError 400 if there is none, 403 if the caller may not search the type
 */
export async function findTerminology<T extends Terminology>(
  repository: EmulatorRepository,
  resourceType: T['resourceType'] & TerminologyType,
  canonical: string,
  version?: string,
): Promise<T> {
  const bar = canonical.lastIndexOf('|');
  const url = bar > 0 ? canonical.slice(0, bar) : canonical;
  const filters = [
    { code: 'url', operator: 'eq' as const, value: url },
    ...(version ? [{ code: 'version', operator: 'eq' as const, value: version }] : []),
  ];
  const sortRules = [
    { code: 'version', descending: true },
    { code: 'date', descending: true },
  ];
  const [own] = await repository.searchResources<T>({ resourceType, filters, sortRules });
  const defined = definedTerminology().get(`${resourceType} ${url}`) as T | undefined;
  const found = own ?? (defined && (!version || defined.version === version) ? defined : undefined);
  return found ?? fail(core.badRequest(`${resourceType} ${url} not found`));
}

/** One code of a code system. */
export interface CodeEntry {
  readonly code: string;
  readonly display: string | undefined;
  readonly concept: CodeSystemConcept;
  /** The codes directly above this one. */
  readonly parents: readonly string[];
}

const indexes = new WeakMap<CodeSystem, ReadonlyMap<string, CodeEntry>>();

/** The URI of the property that names the codes above a code. */
export const PARENT_PROPERTY = 'http://hl7.org/fhir/concept-properties#parent';

/** All codes of a code system, in the order of its definition. */
export function codesOf(codeSystem: CodeSystem): ReadonlyMap<string, CodeEntry> {
  let index = indexes.get(codeSystem);
  if (!index) {
    const entries = new Map<string, CodeEntry>();
    const parentCodes = (codeSystem.property ?? [])
      .filter(({ uri }) => uri === PARENT_PROPERTY)
      .map(({ code }) => code);
    const visit = (concepts: readonly CodeSystemConcept[], parent: string | undefined): void => {
      for (const concept of concepts) {
        const named = (concept.property ?? []).filter(({ code }) => parentCodes.includes(code));
        const parents = [...(parent ? [parent] : []), ...named.flatMap(({ valueCode }) => valueCode ?? [])];
        entries.set(concept.code, { code: concept.code, display: concept.display, concept, parents });
        visit(concept.concept ?? [], concept.code);
      }
    };
    visit(codeSystem.concept ?? [], undefined);
    index = entries;
    indexes.set(codeSystem, index);
  }
  return index;
}

/** Whether `code` is `ancestor` or lies below it. */
export function isBelow(codes: ReadonlyMap<string, CodeEntry>, code: string, ancestor: string): boolean {
  const pending = [code];
  const seen = new Set<string>();
  for (let current = pending.pop(); current !== undefined; current = pending.pop()) {
    if (current === ancestor && codes.has(current)) {
      return true;
    }
    if (!seen.has(current)) {
      seen.add(current);
      pending.push(...(codes.get(current)?.parents ?? []));
    }
  }
  return false;
}

/** @throws OperationOutcomeError 400 unless the code system has a hierarchy */
export function requireHierarchy({ hierarchyMeaning, url }: CodeSystem): void {
  if (hierarchyMeaning !== 'is-a') {
    fail(core.badRequest(`Invalid filter: CodeSystem ${url} does not have an is-a hierarchy`));
  }
}
