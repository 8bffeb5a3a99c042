import { BadRequestException } from '@nestjs/common';
import type { Resource } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };

/** A JSON object with unknown content. */
export type Json = Readonly<Record<string, unknown>>;

/** A message; `false` or `undefined` if there is no problem. */
type Problem = string | false | undefined;

export function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function isText(value: unknown): value is string {
  return typeof value === 'string' && value.trim() !== '';
}

/**
 * Checks that the body is a resource of this type, with everything that the clinic itself needs. Its messages say how to
 * fix the body. Medplum decides whether the rest is valid FHIR.
 *
 * @param problemsOf finds what is wrong with a body of the right type.
 * @throws BadRequestException that lists every problem.
 */
export function checkedResource<T extends Resource>(
  body: unknown,
  resourceType: T['resourceType'],
  problemsOf: (body: Json) => Problem[],
): T {
  if (!isObject(body) || body['resourceType'] !== resourceType) {
    throw new BadRequestException(`The body must be JSON with "resourceType": "${resourceType}".`);
  }
  const problems = problemsOf(body).filter((problem) => typeof problem === 'string');
  if (problems.length > 0) {
    throw new BadRequestException(problems);
  }
  return body as unknown as T;
}

/**
 * Checks that the resource updates the one with this id, and says which version it is based on. The library sends that
 * version as `If-Match`. If somebody else was faster, the user gets 412 instead of overwriting the newer version.
 *
 * @throws BadRequestException
 */
export function updateOf<T extends { id?: string; meta?: { versionId?: string } }>(id: string, resource: T): T {
  if (resource.id !== id) {
    throw new BadRequestException('The id in the body must be the one in the path.');
  }
  if (!isText(resource.meta?.versionId)) {
    throw new BadRequestException(
      'meta.versionId is missing, so a newer version could be overwritten. Send the resource back with the meta you read.',
    );
  }
  return resource;
}
