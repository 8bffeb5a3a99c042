import { MedplumConfigError } from '../errors/medplum-config.error';
import { isFhirCode } from '../shared/fhir-code';

/** Options of a scope. */
export interface ScopeOptions {
  /**
   * Why the data is used: codes of v3-ActReason (`TREAT`, `ETREAT`, `HPAYMT` …). The events of all calls in the scope
   * have it, in place of what the option `auditContext` says. Default: that of the scope around it.
   */
  readonly purposeOfUse?: string | readonly string[] | undefined;
}

/**
 * The codes of a purpose of use.
 *
 * @param what names it in the error.
 * @throws MedplumConfigError when one of them is not a FHIR `code`.
 */
export function purposes(given: string | readonly string[], what: string): readonly string[] {
  const codes: readonly unknown[] = [given].flat();
  if (codes.length === 0 || !codes.every(isFhirCode)) {
    throw new MedplumConfigError(
      `${what} must be one or several FHIR codes without blanks around them, such as ETREAT of v3-ActReason.`,
    );
  }
  return Object.freeze([...codes]);
}
