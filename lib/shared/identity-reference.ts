/** FHIR does not allow a membership as an agent, so an identifier names it. A profile is a reference. */
export function identityReference(
  onBehalfOf: string,
  baseUrl: string,
): { reference: string } | { identifier: { system: string; value: string } } {
  return onBehalfOf.startsWith('ProjectMembership/')
    ? { identifier: { system: baseUrl, value: onBehalfOf } }
    : { reference: onBehalfOf };
}
