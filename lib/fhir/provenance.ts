import { randomUUID } from 'node:crypto';
import type { BundleEntry, CodeableConcept, Provenance, Reference } from '@medplum/fhirtypes' with {
  'resolution-mode': 'import',
};
import { MedplumBadRequestError } from '../errors/response.errors';
import { FHIR_ID, RESOURCE_TYPE } from '../shared/fhir-id';
import { identityReference } from '../shared/identity-reference';

/** Who makes the changes of a transaction, and why. */
export interface ProvenanceFacts {
  readonly baseUrl: string;
  readonly clientId: string;
  /** The identity of the call. `undefined`: the client itself. */
  readonly onBehalfOf: string | undefined;
  /** Who really acts, if that is not the identity: emergency access. */
  readonly actor: string | undefined;
  /** Codes of v3-ActReason. */
  readonly purposeOfUse: readonly string[] | undefined;
  readonly reason: string | undefined;
  readonly recorded: Date;
}

const TERMINOLOGY = 'http://terminology.hl7.org/CodeSystem';

const INSTANCE = new RegExp(`^${RESOURCE_TYPE}/${FHIR_ID}$`);

/**
 * The entries, with a Provenance of all that they write at the end (FHIR R4 section 6.3). Creates get a `fullUrl`, by which
 * the Provenance can name them before the server has given them an id.
 *
 * @throws MedplumBadRequestError for an entry whose resource cannot be named: one with a condition and without `fullUrl`.
 */
export function withProvenance(entries: readonly BundleEntry[], facts: ProvenanceFacts): BundleEntry[] {
  const target: Reference[] = [];
  const named = entries.map((entry, index): BundleEntry => {
    const { method, url = '' } = entry.request ?? {};
    if (method === undefined || method === 'GET' || method === 'HEAD') {
      return entry;
    }
    if (method !== 'POST' && INSTANCE.test(url)) {
      target.push({ reference: url });
      return entry;
    }
    const fullUrl = entry.fullUrl ?? (method === 'POST' ? `urn:uuid:${randomUUID()}` : undefined);
    if (fullUrl === undefined) {
      throw new MedplumBadRequestError(
        `Entry ${index} of the transaction has a condition in place of an id, so a Provenance cannot name its resource. Give the entry a fullUrl (urn:uuid:…), or leave the option provenance out.`,
      );
    }
    target.push({ reference: fullUrl });
    return { ...entry, fullUrl };
  });
  return target.length === 0 ? named : [...named, provenanceEntry(target, facts)];
}

function provenanceEntry(target: Reference[], facts: ProvenanceFacts): BundleEntry {
  const { baseUrl, clientId, onBehalfOf, actor, purposeOfUse = [], reason, recorded } = facts;
  const user = onBehalfOf === undefined ? undefined : identityReference(onBehalfOf, baseUrl);
  const author = actor === undefined ? user : identityReference(actor, baseUrl);
  // Provenance does not allow a ClientApplication as an agent either.
  const client = { identifier: { system: baseUrl, value: `ClientApplication/${clientId}` } };
  const reasons: CodeableConcept[] = purposeOfUse.map((code) => ({
    coding: [{ system: `${TERMINOLOGY}/v3-ActReason`, code }],
  }));
  const resource: Provenance = {
    resourceType: 'Provenance',
    target,
    recorded: recorded.toISOString(),
    ...(reasons.length > 0 || reason !== undefined
      ? { reason: [...reasons, ...(reason === undefined ? [] : [{ text: reason }])] }
      : {}),
    agent: [
      ...(author ? [{ type: participant('author'), who: author }] : []),
      { type: participant(author ? 'assembler' : 'author'), who: client, ...(user ? { onBehalfOf: user } : {}) },
    ],
  };
  return { resource, request: { method: 'POST', url: 'Provenance' } };
}

function participant(code: string): CodeableConcept {
  return { coding: [{ system: `${TERMINOLOGY}/provenance-participant-type`, code }] };
}
