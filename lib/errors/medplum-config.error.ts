import { MedplumError } from './medplum.error';

/** The module is set up wrongly. Thrown at start-up, or where a decorator is used on a class that Nest did not make. */
export class MedplumConfigError extends MedplumError {
  constructor(message: string) {
    super('MEDPLUM_CONFIG', message);
  }
}
