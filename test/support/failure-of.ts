import { isMedplumError, type MedplumError } from 'nestjs-medplum';

/** The error of a call that has to fail with one of the library's. */
export async function failureOf(work: Promise<unknown>): Promise<MedplumError> {
  const error: unknown = await work.then(
    () => new Error('The call succeeded.'),
    (reason: unknown) => reason,
  );
  if (!isMedplumError(error)) {
    throw new Error('The call did not fail as it should.', { cause: error });
  }
  return error;
}
