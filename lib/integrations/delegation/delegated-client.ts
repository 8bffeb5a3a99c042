import { connectable, defer, type Observable, Subject, switchMap } from 'rxjs';
import { DelegationError } from '../../errors/delegation.error';
import type { MedplumService } from '../../medplum.service';
import { type DelegationHeaderOptions, MESSAGE_LIFE } from './delegation-headers';

/** @internal The field of a message that carries its token. `fromDelegation` takes it out before the handler sees it. */
export const DELEGATION_FIELD = 'medplumDelegation';

/** A `ClientProxy` of `@nestjs/microservices`. */
export interface MessageClient {
  /** Sends a message, for each subscriber, and returns the answers. */
  send<R = unknown>(pattern: unknown, data: unknown): Observable<R>;
  /** Sends an event at once. */
  emit<R = unknown>(pattern: unknown, data: unknown): Observable<R>;
}

/** A {@link MessageClient} that adds a token to each message. */
export interface DelegatedClient {
  /** Sends a message with a token of its own for each subscriber. The identity is that of this call. */
  send<R = unknown>(pattern: unknown, data: object): Observable<R>;
  /** Sends an event with a token at once. The identity is that of this call. */
  emit<R = unknown>(pattern: unknown, data: object): Observable<R>;
}

/**
 * Wraps a `ClientProxy` so that each message carries the identity of whoever sends it. The token is a field of the
 * message, because not every transport has headers, so a message has to be a plain object. For NATS, RabbitMQ and Kafka
 * you can put {@link delegationHeaders} into the headers of a record instead.
 *
 * `send` and `emit` fix the identity when you call them, and throw OnBehalfOfRequiredError without one.
 *
 * @example
 * ```ts
 * delegatedClient(client, medplum, { audience: 'reports' }).send('report', { patient })
 * ```
 */
export function delegatedClient(
  client: MessageClient,
  medplum: Pick<MedplumService, 'bind' | 'delegate'>,
  { audience, expiresIn = MESSAGE_LIFE }: DelegationHeaderOptions,
): DelegatedClient {
  const delegated = <R>(data: object, pass: (message: object) => Observable<R>): Observable<R> => {
    checkMessage(data);
    const delegate = medplum.bind(() => medplum.delegate({ audience, expiresIn }));
    return defer(delegate).pipe(switchMap((token) => pass({ ...data, [DELEGATION_FIELD]: token })));
  };
  return {
    send: <R>(pattern: unknown, data: object) => delegated<R>(data, (message) => client.send<R>(pattern, message)),
    emit: <R>(pattern: unknown, data: object) => {
      // As in ClientProxy: an event is sent whether or not anybody subscribes.
      const sent = connectable(
        delegated<R>(data, (message) => client.emit<R>(pattern, message)),
        { connector: () => new Subject<R>(), resetOnDisconnect: false },
      );
      sent.connect();
      return sent;
    },
  };
}

function checkMessage(data: unknown): void {
  const prototype: unknown = typeof data === 'object' && data !== null ? Object.getPrototypeOf(data) : undefined;
  if (prototype !== null && prototype !== Object.prototype) {
    throw new DelegationError(
      'The message cannot carry a delegation, because it is not a plain object. Send an object, or put delegationHeaders() into the headers of a record.',
      { reason: 'arguments' },
    );
  }
}
