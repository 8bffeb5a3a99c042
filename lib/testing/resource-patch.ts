import type { Operation } from '@medplum/core';
import type { Parameters } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import type { Resource, StoredResource } from './emulator.types';
import { core } from './medplum-peers';
import { fail } from './outcome-error';

/**
 * Applies a JSON Patch, or a FHIRPath Patch of newer servers, to a copy of a resource.
 *
 * @throws OperationOutcomeError 400 if an operation cannot be applied
 */
export function patchResource(stored: StoredResource, patch: Operation[] | Parameters): Resource {
  const patched = structuredClone(stored) as Resource;
  if (!Array.isArray(patch)) {
    core.fhirpathPatchTypedValue(core.toTypedValue(patched), core.parseFhirPathPatchParameters(patch));
    return patched;
  }
  const operations = patch.map((operation) => withSafePaths(operation));
  const [problem] = core.applyPatch(patched, operations).filter((error) => error !== null);
  if (problem) {
    fail(core.badRequest(problem.message));
  }
  return patched;
}

/** The server skips these names on the way to a target, so `/__proto__/x` means `/x`. */
const PROTOTYPE_NAMES = new Set(['__proto__', 'constructor', 'prototype']);

function withSafePaths(operation: Operation): Operation {
  if (typeof operation !== 'object' || operation === null) {
    return operation;
  }
  const { path, from } = operation as { path?: unknown; from?: unknown };
  return { ...operation, path: safePath(path), ...(from !== undefined && { from: safePath(from) }) } as Operation;
}

function safePath(path: unknown): unknown {
  const tokens = typeof path === 'string' ? path.split('/') : [];
  return tokens.some((token) => PROTOTYPE_NAMES.has(token))
    ? tokens.filter((token, index) => index === tokens.length - 1 || !PROTOTYPE_NAMES.has(token)).join('/')
    : path;
}
