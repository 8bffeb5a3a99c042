import type { AuditEvent, CodeableConcept, Coding } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };

// Codes of an AuditEvent, from IHE Basic Audit Log Patterns 1.1 (R4), FHIR R4 section 6.4 and DICOM PS3.16 CID 400-402.

const DCM = 'http://dicom.nema.org/resources/ontology/DCM';
const TERMINOLOGY = 'http://terminology.hl7.org/CodeSystem';
const BALP = 'https://profiles.ihe.net/ITI/BALP';
const PARTICIPATION = 'v3-ParticipationType';

/** How BALP describes one kind of action: its codes, and the roles of its agents. */
interface Pattern {
  readonly action: NonNullable<AuditEvent['action']>;
  /** Code of `http://hl7.org/fhir/restful-interaction`. */
  readonly subtype: string;
  /** Name of the BALP profile that a success may conform to. */
  readonly profile?: 'Create' | 'Read' | 'Update' | 'Delete' | 'Query';
  readonly client: CodeableConcept;
  readonly server: CodeableConcept;
  readonly user: CodeableConcept;
}

/** A concept of DICOM. */
function dicom(code: string, display: string): Coding {
  return { system: DCM, code, display };
}

function concept(coding: Coding): CodeableConcept {
  return { coding: [coding] };
}

function terminology(system: string, code: string, display?: string): Coding {
  return { system: `${TERMINOLOGY}/${system}`, code, ...(display === undefined ? {} : { display }) };
}

const SOURCE = concept(dicom('110153', 'Source Role ID'));
const DESTINATION = concept(dicom('110152', 'Destination Role ID'));
const RECIPIENT = concept(terminology(PARTICIPATION, 'IRCP', 'information recipient'));
const AUTHOR = concept(terminology(PARTICIPATION, 'AUT', 'author (originator)'));

const sends = { client: SOURCE, server: DESTINATION, user: AUTHOR };
const fetches = { client: DESTINATION, server: SOURCE, user: RECIPIENT };
const asks = { client: SOURCE, server: DESTINATION, user: RECIPIENT };
const removes = {
  client: concept(dicom('110150', 'Application')),
  server: concept(terminology('provenance-participant-type', 'custodian', 'Custodian')),
  user: AUTHOR,
};
/** For actions without a BALP profile: operations, bundles, paths that the caller wrote. */
const executes = { action: 'E', client: SOURCE, server: DESTINATION, user: AUTHOR } as const;

const PATTERNS: Readonly<Record<string, Pattern>> = {
  create: { action: 'C', subtype: 'create', profile: 'Create', ...sends },
  read: { action: 'R', subtype: 'read', profile: 'Read', ...fetches },
  vread: { action: 'R', subtype: 'vread', profile: 'Read', ...fetches },
  history: { action: 'R', subtype: 'history-instance', ...fetches },
  update: { action: 'U', subtype: 'update', profile: 'Update', ...sends },
  patch: { action: 'U', subtype: 'patch', profile: 'Update', ...sends },
  delete: { action: 'D', subtype: 'delete', profile: 'Delete', ...removes },
  search: { action: 'E', subtype: 'search', profile: 'Query', ...asks },
  batch: { ...executes, subtype: 'batch' },
  transaction: { ...executes, subtype: 'transaction' },
  operation: { ...executes, subtype: 'operation' },
};

/** How BALP describes an action of this library. An unknown action counts as an operation. */
export function patternOf(action: string): Pattern {
  return (Object.hasOwn(PATTERNS, action) ? PATTERNS[action] : undefined) ?? { ...executes, subtype: 'operation' };
}

/** Address of a BALP profile. */
export function balpProfile(name: string): string {
  return `${BALP}/StructureDefinition/IHE.BasicAudit.${name}`;
}

/** Interaction of FHIR's RESTful API. */
export function restInteraction(code: string): Coding {
  return { system: 'http://hl7.org/fhir/restful-interaction', code, display: code };
}

export const REST = terminology('audit-event-type', 'rest', 'RESTful Operation');
/** For a call that was refused before it was sent, because it had no valid identity. */
export const SECURITY_ALERT = dicom('110113', 'Security Alert');
/** DICOM PS3.16 CID 401: what happened, by the action of the event, where that is no interaction of FHIR. */
export const SECURITY_ALERTS: ReadonlyMap<string, Coding> = new Map([
  ['break-glass', dicom('110127', 'Emergency Override Started')],
  ['break-glass-end', dicom('110138', 'Emergency Override Stopped')],
]);
export const APPLICATION_SERVER = terminology('security-source-type', '4', 'Application Server');
export const ENTITY_PERSON = terminology('audit-entity-type', '1', 'Person');
export const ENTITY_OBJECT = terminology('audit-entity-type', '2', 'System Object');
export const ENTITY_OTHER = terminology('audit-entity-type', '4', 'Other');
export const ROLE_PATIENT = terminology('object-role', '1', 'Patient');
export const ROLE_RESOURCE = terminology('object-role', '4', 'Domain Resource');
export const ROLE_QUERY = terminology('object-role', '24', 'Query');
export const REQUEST_ID: Coding = { system: `${BALP}/CodeSystem/BasicAuditEntityType`, code: 'XrequestId' };
export const ACT_REASON = `${TERMINOLOGY}/v3-ActReason`;
/** From the FHIR extensions pack: for whom an agent acts. */
export const ON_BEHALF_OF = 'http://hl7.org/fhir/StructureDefinition/auditevent-OnBehalfOf';
