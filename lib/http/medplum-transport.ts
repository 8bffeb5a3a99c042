import { Deadline } from './deadline';
import type { RequestAttempt } from '../shared/request-attempt';
import { RetryBudget } from './retry-budget';
import { TransportCall } from './transport-call';
import type { TransportOptions } from './transport.options';
import type { TransportRequest, TransportResponse } from './transport.types';

/** Sends requests: attempts, one deadline, and retries of what is safe. It knows neither Nest nor any scope. */
export class MedplumTransport {
  readonly #options: TransportOptions;
  readonly #budget: RetryBudget;

  constructor(options: TransportOptions) {
    this.#options = options;
    this.#budget = new RetryBudget(options.retry.budget);
  }

  /**
   * Sends one request and reads its answer. Each wire attempt is added to `attempts`, whatever comes of it.
   *
   * @throws MedplumError of the class that fits, with its `effect`.
   */
  send(request: TransportRequest, attempts: RequestAttempt[]): Promise<TransportResponse> {
    this.#budget.called();
    const { timeLeft, timeout, signal, disconnect, running } = request;
    const deadline = new Deadline(timeLeft ?? timeout, signal, disconnect, running);
    return new TransportCall(request, this.#options, this.#budget, deadline, attempts).run();
  }
}
