import type { RequestEvent } from '../request-event';

/**
 * What a sink keeps of an event: `non-phi` (`toJSON()`), `phi` (`toPhiAudit()`), `phi-with-query` (the search parameters
 * too), or the result of a function such as `(event) => toFhirAuditEvent(event)`.
 */
export type MedplumAuditForm = 'non-phi' | 'phi' | 'phi-with-query' | ((event: RequestEvent) => object);

/** The event in that form. */
export function inForm(event: RequestEvent, form: MedplumAuditForm): object {
  if (typeof form === 'function') {
    return form(event);
  }
  return form === 'non-phi' ? event.toJSON() : event.toPhiAudit({ includeQuery: form === 'phi-with-query' });
}
