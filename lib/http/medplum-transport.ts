import { Deadline } from './deadline';
import type { RequestAttempt } from './request-attempt';
import { TransportCall } from './transport-call';
import type { TransportOptions } from './transport.options';
import type { TransportRequest, TransportResponse } from './transport.types';

/** Sends requests: attempts, one deadline, and retries of what is safe. It knows neither Nest nor any scope. */
export class MedplumTransport {
  readonly #options: TransportOptions;

  constructor(options: TransportOptions) {
    this.#options = options;
  }

  /**
   * Sends one request and reads its answer. Each wire attempt is added to `attempts`, whatever comes of it.
   *
   * @throws MedplumError of the class that fits, with its `effect`.
   */
  send(request: TransportRequest, attempts: RequestAttempt[]): Promise<TransportResponse> {
    return new TransportCall(request, this.#options, new Deadline(request.timeout, request.signal), attempts).run();
  }
}
