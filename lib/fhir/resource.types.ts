import type { Bundle, ExtractResource, Resource, ResourceType } from '@medplum/fhirtypes' with {
  'resolution-mode': 'import',
};

/** A resource that the server has stored, and that therefore has an id. */
export type WithId<T> = T & { id: string };

/** The stored resource with the type name `K`. */
export type ResourceOf<K extends ResourceType> = WithId<ExtractResource<K>>;

/** The stored form of a resource that you passed in. */
export type Stored<T extends Resource> = T & ResourceOf<T['resourceType']>;

/** The matches of a search, with the bundle that held them. `bundle` is not enumerable. */
export type ResourceArray<T extends Resource> = T[] & { readonly bundle: Bundle<T> };

/** One operation of a JSON Patch (RFC 6902 section 4). */
export type PatchOperation =
  | { readonly op: 'add' | 'replace' | 'test'; readonly path: string; readonly value: unknown }
  | { readonly op: 'remove'; readonly path: string }
  | { readonly op: 'move' | 'copy'; readonly from: string; readonly path: string };
