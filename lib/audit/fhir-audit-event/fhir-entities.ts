import type { AuditEventEntity, AuditEventEntityDetail } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import * as codes from './fhir-codes';
import type { RequestEvent } from '../request-event';

/** The resources that were read or written and that have ids. */
export function dataEntities(event: RequestEvent): AuditEventEntity[] {
  const { resourceType, resourceId, resourceVersion, action } = event;
  const own = resourceType !== undefined && resourceId !== undefined ? `${resourceType}/${resourceId}` : undefined;
  const version = action === 'delete' || resourceVersion === undefined ? '' : `/_history/${resourceVersion}`;
  const data = own === undefined ? [] : [dataEntity(own + version)];
  const named = new Set([...(own === undefined ? [] : [own]), ...event.references]);
  const patients = [...named].filter((reference) => reference.startsWith('Patient/'));
  const others = [...named].filter((reference) => reference !== own && !reference.startsWith('Patient/'));
  return [
    ...data,
    ...others.map(dataEntity),
    ...patients.map((reference) => ({
      what: { reference },
      type: codes.ENTITY_PERSON,
      role: codes.ROLE_PATIENT,
    })),
  ];
}

function dataEntity(reference: string): AuditEventEntity {
  return { what: { reference }, type: codes.ENTITY_OBJECT, role: codes.ROLE_RESOURCE };
}

/** The request as BALP wants it: its first line in base64. */
export function queryEntity({ method, path, query, baseUrl }: RequestEvent): AuditEventEntity {
  const parameters = new URLSearchParams();
  for (const [name, values] of Object.entries(query ?? {})) {
    values.forEach((value) => parameters.append(name, value));
  }
  const text = parameters.size > 0 ? `?${parameters.toString()}` : '';
  const request = `${method} ${baseUrl.replace(/\/$/, '')}${path}${text}`;
  return {
    type: codes.ENTITY_OBJECT,
    role: codes.ROLE_QUERY,
    description: request,
    query: Buffer.from(request, 'utf8').toString('base64'),
  };
}

/** The event itself, with the facts for which FHIR has no element. */
export function recordEntity(event: RequestEvent): AuditEventEntity {
  const { id, instanceId, seq, operationId, effect, identitySource, pathTemplate, traceId, attempts, reason } = event;
  const facts: Record<string, string | number | undefined> = {
    instanceId,
    seq,
    operationId,
    request: `${event.method} ${pathTemplate}`,
    effect,
    identitySource,
    delegation: event.delegation?.id,
    reason,
    traceId,
    inboundRequestId: event.inboundRequestId,
    returned: event.returned?.count,
    total: event.returned?.total,
  };
  const detail: AuditEventEntityDetail[] = Object.entries(facts).flatMap(([type, value]) =>
    value === undefined || value === '' ? [] : [{ type, valueString: String(value) }],
  );
  for (const { attempt, status, error, onBehalfOf } of attempts) {
    const valueString = `${status ?? error ?? 'no response'} ${onBehalfOf ?? 'without X-Medplum-On-Behalf-Of'}`;
    detail.push({ type: `attempt ${attempt}`, valueString });
  }
  for (const { method, resourceType = 'unknown type', status, count } of event.entries ?? []) {
    detail.push({ type: 'entries', valueString: `${count} ${method} ${resourceType} ${status ?? 'no response'}` });
  }
  return {
    what: { identifier: { system: 'urn:ietf:rfc:3986', value: `urn:uuid:${id}` } },
    type: codes.ENTITY_OTHER,
    detail,
  };
}
