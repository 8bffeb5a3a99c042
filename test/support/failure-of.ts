import { isMedplumError, type MedplumError } from 'nestjs-medplum';

/** Returns the error of a call that must fail with a MedplumError. Throws if the call does anything else. */
export async function failureOf(work: Promise<unknown>): Promise<MedplumError> {
  const error: unknown = await work.then(
    () => new Error('The call succeeded.'),
    (reason: unknown) => reason,
  );
  if (!isMedplumError(error)) {
    throw new Error('The call did not fail with a MedplumError.', { cause: error });
  }
  return error;
}
