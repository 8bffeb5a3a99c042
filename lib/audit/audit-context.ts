import { isTraceId } from '../shared/trace-headers';

/** What the app knows of the end user and of the request that it serves. All of it is PHI as far as logs go. */
export interface MedplumAuditContext {
  /** Why the data is used: codes of v3-ActReason (`TREAT`, `ETREAT`, `BTG`, `PATRQT`, `HPAYMT` …). */
  readonly purposeOfUse?: string | readonly string[];
  /** Who is logged in, as the identity provider names it (`sub`). */
  readonly subject?: string;
  /** Who really acts, when that is somebody else than whom the call is made for: impersonation, break-glass. */
  readonly actor?: string;
  /** Network address of the end user. */
  readonly address?: string;
  /** Trace that the call belongs to, when the call itself sends no `traceparent`: 32 hexadecimal digits or a UUID. */
  readonly traceId?: string;
}

/**
 * Says for whom and why the app makes a call. It is called synchronously when a method of the client is called, in the
 * async context of the caller, so that it can read the app's own store. It is not called when nobody listens.
 */
export type MedplumAuditContextResolver = () => MedplumAuditContext | undefined;

/** Texts longer than this, in characters, are cut: an event is no place for documents. */
const LONGEST = 256;

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value.slice(0, LONGEST) : undefined;
}

/** A frozen copy of what a resolver answered, with nothing in it but texts. */
export function readAuditContext(given: MedplumAuditContext | undefined): MedplumAuditContext | undefined {
  if (typeof given !== 'object' || given === null) {
    return undefined;
  }
  const purposes = [given.purposeOfUse ?? []].flat().map(text);
  const purposeOfUse = purposes.filter((purpose) => purpose !== undefined);
  const context = {
    purposeOfUse: purposeOfUse.length > 0 ? Object.freeze(purposeOfUse) : undefined,
    subject: text(given.subject),
    actor: text(given.actor),
    address: text(given.address),
    traceId: isTraceId(given.traceId) ? given.traceId : undefined,
  };
  return Object.freeze(Object.fromEntries(Object.entries(context).filter(([, value]) => value !== undefined)));
}
