import { AuditRecordRefusedError } from '../audit-record-refused.error';
import type { RequestEvent } from '../request-event';

/**
 * What a sink keeps of an event: `non-phi` (`toJSON()`), `phi` (`toPhiAudit()`), `phi-with-query` (the search parameters
 * too), or the result of a function such as `(event) => toFhirAuditEvent(event)`. An event for which the function throws
 * is refused for good.
 */
export type MedplumAuditForm = 'non-phi' | 'phi' | 'phi-with-query' | ((event: RequestEvent) => object);

/**
 * The event in that form.
 *
 * @throws AuditRecordRefusedError when the function throws: it would throw each time, and hold up all later events.
 */
export function inForm(event: RequestEvent, form: MedplumAuditForm): object {
  if (typeof form === 'function') {
    try {
      return form(event);
    } catch (error) {
      throw new AuditRecordRefusedError([event], error);
    }
  }
  return form === 'non-phi' ? event.toJSON() : event.toPhiAudit({ includeQuery: form === 'phi-with-query' });
}

/**
 * The JSON of the event in that form: an object with at least one field.
 *
 * @throws AuditRecordRefusedError when the function throws or its result has no such JSON.
 */
export function jsonInForm(event: RequestEvent, form: MedplumAuditForm): string {
  const record = inForm(event, form);
  let json: unknown;
  try {
    json = JSON.stringify(record);
  } catch (error) {
    throw new AuditRecordRefusedError([event], error);
  }
  if (typeof json !== 'string' || !json.startsWith('{"')) {
    throw new AuditRecordRefusedError([event]);
  }
  return json;
}
