import { isFhirCode } from '../shared/fhir-code';
import { isTraceId } from '../shared/trace-headers';

/** What the app knows about the end user and the request that it serves. Treat all of it as PHI in logs. */
export interface MedplumAuditContext {
  /**
   * Why the data is used: codes of v3-ActReason (`TREAT`, `ETREAT`, `BTG`, `PATRQT`, `HPAYMT` …). A text that is not a
   * FHIR `code`, such as one with a blank at its end, is left out, and the log says so once.
   */
  readonly purposeOfUse?: string | readonly string[] | undefined;
  /** Who is logged in, by the name that the identity provider uses (`sub`). */
  readonly subject?: string | undefined;
  /** Who really acts, if that is not the identity of the call: impersonation, break-glass. */
  readonly actor?: string | undefined;
  /** Network address of the end user. */
  readonly address?: string | undefined;
  /** The trace of the call, if the call itself sends no `traceparent`: 32 hexadecimal digits or a UUID. */
  readonly traceId?: string | undefined;
}

/**
 * Says for whom and why the app makes a call. It runs synchronously when a method of the client is called, in the async
 * context of the caller, so it can read the app's own store. It does not run when there is no listener and no sink.
 */
export type MedplumAuditContextResolver = () => MedplumAuditContext | undefined;

/** In characters. Longer texts are cut, because documents do not belong in an event. */
const LONGEST = 256;

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value.trim() !== '' ? value.slice(0, LONGEST) : undefined;
}

/**
 * A frozen copy of what a resolver returned. It holds only strings.
 *
 * @param onRefusedCode called when a purpose is left out because no server would accept it as a code.
 */
export function readAuditContext(
  given: MedplumAuditContext | undefined,
  onRefusedCode: () => void = () => undefined,
): MedplumAuditContext | undefined {
  if (typeof given !== 'object' || given === null) {
    return undefined;
  }
  const purposes: readonly unknown[] = [given.purposeOfUse ?? []].flat();
  const purposeOfUse = purposes.filter(isFhirCode);
  if (purposeOfUse.length < purposes.length) {
    onRefusedCode();
  }
  const context = {
    purposeOfUse: purposeOfUse.length > 0 ? Object.freeze(purposeOfUse) : undefined,
    subject: text(given.subject),
    actor: text(given.actor),
    address: text(given.address),
    traceId: isTraceId(given.traceId) ? given.traceId : undefined,
  };
  return Object.freeze(Object.fromEntries(Object.entries(context).filter(([, value]) => value !== undefined)));
}
