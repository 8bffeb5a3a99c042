import { BadRequestException } from '@nestjs/common';
import type { Resource } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };

/** A JSON object of unknown content. */
export type Json = Readonly<Record<string, unknown>>;

/** `undefined`: nothing to complain about. */
type Problem = string | false | undefined;

export function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function isText(value: unknown): value is string {
  return typeof value === 'string' && value.trim() !== '';
}

/**
 * The body as a resource of a type. What the clinic itself needs is checked here, so that its texts can say how to mend
 * it; whether all of it is valid FHIR is Medplum's to say.
 *
 * @param problemsOf what is wrong with a body of the right type.
 * @throws BadRequestException with every problem.
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
 * The resource as an update of the one with this id. It must be based on a version: the library sends that as
 * `If-Match`, and whoever was overtaken by somebody else gets 412 instead of overwriting it.
 *
 * @throws BadRequestException
 */
export function updateOf<T extends { id?: string; meta?: { versionId?: string } }>(id: string, resource: T): T {
  if (resource.id !== id) {
    throw new BadRequestException('The id in the body must be the one in the path.');
  }
  if (!isText(resource.meta?.versionId)) {
    throw new BadRequestException(
      'meta.versionId is missing: change what you have read, and send it back with its meta.',
    );
  }
  return resource;
}
