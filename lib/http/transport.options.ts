import type { BaseUrl } from '../shared/base-url';
import type { Credentials } from './credentials';
import type { MedplumRetryOptions } from './retry.options';
import type { Wire } from './wire';

/** What a transport is made of. */
export interface TransportOptions {
  readonly baseUrl: BaseUrl;
  readonly wire: Wire;
  readonly credentials: Credentials;
  readonly retry: Required<MedplumRetryOptions>;
  /** Asks for compressed answers, but to streams, which are handed on as they come. */
  readonly compression?: boolean;
}
