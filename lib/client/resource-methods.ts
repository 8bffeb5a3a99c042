import type { Bundle, Reference, Resource, ResourceType } from '@medplum/fhirtypes' with {
  'resolution-mode': 'import',
};
import * as conditional from '../fhir/conditional';
import * as fhir from '../fhir/interactions';
import type { PatchOperation, ResourceOf, Stored, WithId } from '../fhir/resource.types';
import type { SearchQuery } from '../fhir/search-query';
import * as versions from '../fhir/versions';
import type { MedplumRequestOptions, MedplumUpdateOptions } from '../medplum-request.options';
import type { MedplumHistoryOptions } from './client.options';
import type { MedplumCalls } from './medplum-calls';

const { INTERACTIONS } = fhir;

/** Reading and writing of single resources. */
export abstract class MedplumResourceMethods {
  // No field: what prints a service would go on to everything that a client is made of.
  readonly #calls: MedplumCalls;

  /** @internal */
  constructor(calls: MedplumCalls) {
    this.#calls = calls;
  }

  /** @internal */
  protected get calls(): MedplumCalls {
    return this.#calls;
  }

  /** Creates a resource. The server gives its id; one in the resource is ignored. */
  createResource<T extends Resource>(resource: T, options: MedplumRequestOptions = {}): Promise<Stored<T>> {
    return this.calls.request(INTERACTIONS.create, () => fhir.create(resource), options);
  }

  /**
   * Creates a resource unless one matches `query`, and returns the one that exists then. Only what the identity may see
   * is searched. It is repeated after a broken connection only when the query is one identifier that the resource carries.
   *
   * @throws MedplumPreconditionFailedError when several match; UnknownEffectError when that follows an attempt of unknown fate.
   */
  createResourceIfNoneExist<T extends Resource>(
    resource: T,
    query: SearchQuery<T['resourceType']>,
    options: MedplumRequestOptions = {},
  ): Promise<Stored<T>> {
    return this.calls.request(INTERACTIONS.create, () => fhir.createIfNoneExist(resource, query), options);
  }

  /**
   * Reads a resource by its id.
   *
   * @throws MedplumNotFoundError when it does not exist or the identity may not see it; MedplumGoneError when it was
   * deleted; MedplumForbiddenError when the identity may not read this type.
   */
  readResource<K extends ResourceType>(
    resourceType: K,
    id: string,
    options: MedplumRequestOptions = {},
  ): Promise<ResourceOf<K>> {
    return this.calls.request(INTERACTIONS.read, () => fhir.read(resourceType, id), options);
  }

  /**
   * Reads what a reference names: the current version, or the one that the reference asks for
   * (`Patient/1/_history/2`). Absolute references are read when they name the server of this client.
   *
   * @throws MedplumBadRequestError for references to elsewhere, logical ones and contained resources (`#…`).
   */
  readReference<T extends Resource>(
    reference: Reference<T> | string,
    options: MedplumRequestOptions = {},
  ): Promise<WithId<T>> {
    const describe = () => versions.readReference(reference, this.calls.baseUrl);
    return this.calls.request(INTERACTIONS.read, describe, options);
  }

  /** Reads one version of a resource, by its `meta.versionId`. */
  readVersion<K extends ResourceType>(
    resourceType: K,
    id: string,
    versionId: string,
    options: MedplumRequestOptions = {},
  ): Promise<ResourceOf<K>> {
    return this.calls.request(INTERACTIONS.vread, () => versions.readVersion(resourceType, id, versionId), options);
  }

  /** The versions of a resource, newest first. A deletion is an entry without a resource. */
  readHistory<K extends ResourceType>(
    resourceType: K,
    id: string,
    options: MedplumHistoryOptions = {},
  ): Promise<Bundle<ResourceOf<K>>> {
    const describe = () => versions.readHistory(resourceType, id, options);
    return this.calls.request(INTERACTIONS.history, describe, options, { further: ['count', 'offset'] });
  }

  /**
   * Writes a resource over its last version.
   *
   * With a `meta` that names no `accounts` it is not sent in extended mode: for an admin identity the server would take
   * the accounts away.
   *
   * @throws MedplumPreconditionFailedError when it has changed since it was read (see `ifMatch`).
   */
  updateResource<T extends Resource>(resource: T, options: MedplumUpdateOptions = {}): Promise<Stored<T>> {
    const describe = () => fhir.update(resource, options.ifMatch);
    return this.calls.request(INTERACTIONS.update, describe, options, { further: ['ifMatch'] });
  }

  /**
   * Writes a resource over the one that matches `query`, or creates it when none does: FHIR's conditional update. Servers
   * up to 5.0 take no `If-Match` here.
   *
   * @throws MedplumPreconditionFailedError when several match; MedplumBadRequestError without a condition.
   */
  upsertResource<T extends Resource>(
    resource: T,
    query: SearchQuery<T['resourceType']>,
    options: MedplumRequestOptions = {},
  ): Promise<Stored<T>> {
    const describe = () => conditional.conditionalUpdate(resource, query);
    return this.calls.request(INTERACTIONS.conditionalUpdate, describe, options);
  }

  /**
   * Changes parts of a resource. Servers up to 5.0 ignore `If-Match` here: to guard against concurrent changes use
   * {@link MedplumResourceMethods.updateResource}, or begin the patch with a `test` of `/meta/versionId`. Never pass on a
   * patch that an end user wrote: it can read values back.
   */
  patchResource<K extends ResourceType>(
    resourceType: K,
    id: string,
    operations: readonly PatchOperation[],
    options: MedplumRequestOptions = {},
  ): Promise<ResourceOf<K>> {
    return this.calls.request(INTERACTIONS.patch, () => fhir.patch(resourceType, id, operations), options);
  }

  /**
   * Changes parts of the one resource that matches `query`.
   *
   * @throws MedplumNotFoundError when none matches; MedplumPreconditionFailedError when several do; MedplumBadRequestError
   * without a condition.
   */
  conditionalPatch<K extends ResourceType>(
    resourceType: K,
    query: SearchQuery<K>,
    operations: readonly PatchOperation[],
    options: MedplumRequestOptions = {},
  ): Promise<ResourceOf<K>> {
    const describe = () => conditional.conditionalPatch(resourceType, query, operations);
    return this.calls.request(INTERACTIONS.conditionalPatch, describe, options);
  }

  /** Deletes a resource. Its history stays. */
  async deleteResource(resourceType: ResourceType, id: string, options: MedplumRequestOptions = {}): Promise<void> {
    await this.calls.request(INTERACTIONS.delete, () => fhir.remove(resourceType, id), options);
  }

  /**
   * Deletes the one resource that matches `query`; nothing happens when none does.
   *
   * @throws MedplumPreconditionFailedError when several match; MedplumBadRequestError without a condition.
   */
  async conditionalDelete<K extends ResourceType>(
    resourceType: K,
    query: SearchQuery<K>,
    options: MedplumRequestOptions = {},
  ): Promise<void> {
    const describe = () => conditional.conditionalDelete(resourceType, query);
    await this.calls.request(INTERACTIONS.conditionalDelete, describe, options);
  }
}
