import { hostname } from 'node:os';
import type { AuditEvent } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { agentsOf } from './fhir-agents';
import * as codes from './fhir-codes';
import { dataEntities, queryEntity, recordEntity } from './fhir-entities';
import type { RequestEvent } from '../request-event';

/** Options of {@link toFhirAuditEvent}. */
export interface FhirAuditEventOptions {
  /** Name of the service in `source.site`. Default: the host name. */
  readonly site?: string | undefined;
  /** Network address of this host. Default: the host name. */
  readonly address?: string | undefined;
  /** Adds the search parameters, often names and birth dates. Default `false`. BALP's query profile needs them. */
  readonly includeQuery?: boolean | undefined;
}

/** System of the tag that identifies an AuditEvent. Its code is the id of the event, with `-intent` for an intent. */
export const AUDIT_EVENT_TAG_SYSTEM = 'urn:nestjs-medplum:request-event';

/**
 * Turns an event into a FHIR R4 AuditEvent after IHE Basic Audit Log Patterns (BALP). It names the user as requestor, the
 * client with the extension `auditevent-OnBehalfOf`, the server, and what was read or written. A success that fits a BALP
 * profile names the profile in `meta.profile`. The result holds PHI.
 *
 * Store it as the client itself, not on behalf of the user: the access policy of the user could forbid it.
 */
export function toFhirAuditEvent(event: RequestEvent, options: FhirAuditEventOptions = {}): AuditEvent {
  const pattern = codes.patternOf(event.action);
  const refused =
    event.outcome === 'refused' &&
    (event.identitySource === undefined || event.action === 'delegation') &&
    isAboutIdentity(event);
  const alert = codes.SECURITY_ALERTS.get(event.action);
  const outcome = outcomeOf(event);
  const entity = [
    ...(options.includeQuery && event.action === 'search' ? [queryEntity(event)] : []),
    ...dataEntities(event),
    ...(event.requestId === undefined
      ? []
      : [{ type: codes.REQUEST_ID, what: { identifier: { value: event.requestId } } }]),
    recordEntity(event),
  ];
  const profile = profileOf(event, pattern.profile, options);
  return {
    resourceType: 'AuditEvent',
    meta: {
      ...(profile === undefined ? {} : { profile: [codes.balpProfile(profile)] }),
      tag: [{ system: AUDIT_EVENT_TAG_SYSTEM, code: tagOf(event) }],
    },
    type: refused || alert ? codes.SECURITY_ALERT : codes.REST,
    subtype: [alert ?? codes.restInteraction(pattern.subtype)],
    action: pattern.action,
    period: { start: event.startedAt.toISOString(), end: event.endedAt.toISOString() },
    recorded: event.endedAt.toISOString(),
    ...(outcome === undefined ? {} : { outcome }),
    ...(outcome === '0' ? {} : { outcomeDesc: outcomeText(event) }),
    agent: agentsOf(event, options.address ?? hostname()),
    source: {
      site: options.site ?? hostname(),
      observer: { reference: `ClientApplication/${event.clientId}` },
      type: [codes.APPLICATION_SERVER],
    },
    entity,
  };
}

/** The code of the tag. The server uses it to recognise an AuditEvent that it already has. */
export function tagOf({ id, outcome }: RequestEvent): string {
  return outcome === 'pending' ? `${id}-intent` : id;
}

function isAboutIdentity({ error }: RequestEvent): boolean {
  return /^MEDPLUM_(?:ON_BEHALF_OF|DELEGATION)/.test(error?.code ?? '');
}

/** `0` success, `4` minor failure, `8` serious (access was denied), `12` major failure. An intent has none. */
function outcomeOf(event: RequestEvent): AuditEvent['outcome'] {
  const { outcome, status, attempts } = event;
  if (outcome === 'pending') {
    return undefined;
  }
  if (outcome === 'success') {
    return '0';
  }
  if (isAboutIdentity(event) || status === 401 || status === 403) {
    return '8';
  }
  const noAnswer = status === undefined && attempts.length > 0;
  return noAnswer || event.effect === 'unknown' || (status !== undefined && status >= 500) ? '12' : '4';
}

function outcomeText({ outcome, status, error, effect }: RequestEvent): string {
  if (outcome === 'pending') {
    return 'Intent: the call is about to be sent. Without a record of its outcome, its effect is unknown.';
  }
  const without = outcome === 'refused' ? 'nothing was sent' : 'no response';
  const response = status === undefined ? without : `status ${status}`;
  return `${error?.code ?? 'failed'}: ${response}, effect ${effect}`;
}

/** BALP profiles describe only successes, and only those that name a resource or a query. */
function profileOf(
  event: RequestEvent,
  profile: string | undefined,
  { includeQuery }: FhirAuditEventOptions,
): string | undefined {
  if (profile === undefined || event.outcome !== 'success') {
    return undefined;
  }
  if (profile === 'Query') {
    const aboutPatients = event.references.some((reference) => reference.startsWith('Patient/'));
    return includeQuery && !aboutPatients ? profile : undefined;
  }
  if (event.resourceType === undefined || event.resourceId === undefined) {
    return undefined;
  }
  return event.resourceType === 'Patient' ? `Patient${profile}` : profile;
}
