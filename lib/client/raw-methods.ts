import { raw, rawInteraction, type RawMethod } from '../fhir/raw';
import type { MedplumRequestOptions } from '../medplum-request.options';
import { MedplumBundleMethods } from './bundle-methods';

/**
 * Calls of paths that have no method of their own. They are made for somebody like all others, only below the base URL,
 * and not for tokens and logins. JSON answers are parsed, others are text; an empty one is `undefined`.
 */
export abstract class MedplumRawMethods extends MedplumBundleMethods {
  /**
   * @param path below the base URL: `fhir/R4/Patient/123`.
   * @throws MedplumBadRequestError for an address elsewhere.
   */
  get<T = unknown>(path: string, options: MedplumRequestOptions = {}): Promise<T> {
    return this.#raw('GET', path, undefined, options);
  }

  /** POST. Text and bytes are sent as they are: name their type in `headers`. Otherwise as {@link MedplumRawMethods.get}. */
  post<T = unknown>(path: string, body?: unknown, options: MedplumRequestOptions = {}): Promise<T> {
    return this.#raw('POST', path, body, options);
  }

  /** PUT. Text and bytes are sent as they are: name their type in `headers`. Otherwise as {@link MedplumRawMethods.get}. */
  put<T = unknown>(path: string, body: unknown, options: MedplumRequestOptions = {}): Promise<T> {
    return this.#raw('PUT', path, body, options);
  }

  /** PATCH with a JSON Patch, otherwise as {@link MedplumRawMethods.get}. */
  patch<T = unknown>(path: string, body: unknown, options: MedplumRequestOptions = {}): Promise<T> {
    return this.#raw('PATCH', path, body, options);
  }

  /** DELETE, otherwise as {@link MedplumRawMethods.get}. */
  delete<T = unknown>(path: string, options: MedplumRequestOptions = {}): Promise<T> {
    return this.#raw('DELETE', path, undefined, options);
  }

  #raw<T>(method: RawMethod, path: string, body: unknown, options: MedplumRequestOptions): Promise<T> {
    const describe = () => raw(method, path, body, this.calls.baseUrl);
    return this.calls.request(rawInteraction(method), describe, options);
  }
}
