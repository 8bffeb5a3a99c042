import type { CompartmentDefinition } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { core, definitions } from './medplum-peers';

/** The FHIR definitions, in the form that the emulator needs. */
export interface FhirDefinitions {
  /** Names of all resource types, Medplum's own included. */
  readonly resourceTypes: ReadonlySet<string>;
  /** For each resource type, the search parameters whose values put a resource into a patient's compartment. */
  readonly patientCompartment: ReadonlyMap<string, readonly string[]>;
  /** All types that the definition of the patient's compartment names, even those that never belong to one. */
  readonly compartmentTypes: readonly string[];
}

const LOADED = Symbol.for('nestjs-medplum.definitions/2');

/**
 * Reads and indexes Medplum's definitions, which takes about 0.6 s. It does so once per process, because `@medplum/core`
 * keeps them in a module-level index. The result stays on that index: a test runner may load this file anew for each
 * test file, and `@medplum/core` only once.
 */
export function loadDefinitions(): FhirDefinitions {
  const index: typeof core.globalSchema & { [LOADED]?: FhirDefinitions } = core.globalSchema;
  return (index[LOADED] ??= load());
}

function load(): FhirDefinitions {
  const resourceTypes = new Set<string>();
  // The package's own list also names profiles-others.json. A real server does not index that file, and it cannot be
  // indexed.
  for (const file of ['profiles-types', 'profiles-resources', 'profiles-medplum']) {
    const bundle = definitions.readJson(`fhir/r4/${file}.json`);
    core.indexStructureDefinitionBundle(bundle);
    for (const { resource } of bundle.entry ?? []) {
      if (resource.resourceType === 'StructureDefinition' && resource.kind === 'resource' && !resource.abstract) {
        resourceTypes.add(resource.type);
      }
    }
  }
  for (const file of definitions.SEARCH_PARAMETER_BUNDLE_FILES) {
    core.indexSearchParameterBundle(definitions.readJson(file));
  }
  const compartment: CompartmentDefinition = definitions.readJson('fhir/r4/compartmentdefinition-patient.json');
  const patientCompartment = new Map<string, readonly string[]>();
  for (const { code, param } of compartment.resource ?? []) {
    if (code && param && resourceTypes.has(code)) {
      patientCompartment.set(code, param);
    }
  }
  const compartmentTypes = (compartment.resource ?? []).flatMap(({ code }) =>
    code && code !== 'Binary' ? [code] : [],
  );
  return {
    resourceTypes,
    patientCompartment,
    compartmentTypes: compartmentTypes.filter((type) => resourceTypes.has(type)),
  };
}
