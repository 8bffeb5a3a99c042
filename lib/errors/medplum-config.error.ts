import { MedplumError } from './medplum.error';

/**
 * Thrown when the library is set up wrongly: mostly at start-up, otherwise when you first use the part that is wrong,
 * such as a decorated method of an instance that Nest did not create. Nothing was sent, so `effect` is `none`. The
 * message says what to change.
 */
export class MedplumConfigError extends MedplumError {
  constructor(message: string) {
    super('MEDPLUM_CONFIG', message);
  }
}
