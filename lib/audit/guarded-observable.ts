import { types } from 'node:util';
import { Observable, type Observer, type Operator, Subscription } from 'rxjs';

/** Called with an error that a consumer threw, or that an operator of its pipe threw and nobody handled. */
export type OnConsumerError = (error: unknown) => void;

type Consumer<T> = Partial<Observer<T>> | ((value: T) => void) | null | undefined;

/**
 * An Observable whose consumers can throw, or return a rejecting promise, without harm. RxJS would rethrow such an error
 * in a timer, which ends the process. This class reports it instead. That also holds after `pipe()`, because `lift` keeps
 * the class.
 */
export class GuardedObservable<T> extends Observable<T> {
  readonly #onError: OnConsumerError;

  constructor(source: Observable<T> | undefined, onError: OnConsumerError) {
    // Each subscription gets its own observer. Otherwise an error in one teardown would keep the others from their event.
    super((subscriber) =>
      source?.subscribe({
        next: (value) => this.#call(() => subscriber.next(value)),
        error: (problem: unknown) => this.#call(() => subscriber.error(problem)),
        complete: () => this.#call(() => subscriber.complete()),
      }),
    );
    this.#onError = onError;
  }

  override lift<R>(operator?: Operator<T, R>): Observable<R> {
    const lifted = new GuardedObservable<R>(undefined, this.#onError);
    // The same as Observable.lift, but with this class.
    return Object.assign(lifted, { source: this, operator });
  }

  override subscribe(consumer?: Consumer<T>): Subscription;
  override subscribe(
    next?: ((value: T) => void) | null,
    error?: ((error: unknown) => void) | null,
    complete?: (() => void) | null,
  ): Subscription;
  override subscribe(
    consumer?: Consumer<T>,
    error?: ((error: unknown) => void) | null,
    complete?: (() => void) | null,
  ): Subscription {
    if (consumer && consumer instanceof Subscription) {
      // An operator, or a Subject inside RxJS: what it passes on reaches a guarded consumer.
      return super.subscribe(consumer);
    }
    const observer: Partial<Observer<T>> =
      typeof consumer === 'object' && consumer !== null
        ? consumer
        : { next: consumer ?? undefined, error: error ?? undefined, complete: complete ?? undefined };
    return super.subscribe({
      next: (value) => this.#call(() => observer.next?.(value)),
      error: (problem: unknown) =>
        this.#call(() => (observer.error ? observer.error(problem) : this.#onError(problem))),
      complete: () => this.#call(() => observer.complete?.()),
    });
  }

  #call(consume: () => unknown): void {
    try {
      const result = consume();
      if (types.isPromise(result)) {
        result.catch(this.#onError);
      }
    } catch (error) {
      this.#onError(error);
    }
  }
}
