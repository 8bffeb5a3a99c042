import type { MedplumExceptionAnswer } from './exception-answer';

/** What a socket or a microservice sends for an error. */
interface MessageAnswer {
  readonly status: 'error';
  /** The name of the status: `NOT_FOUND`. */
  readonly code: string;
  /** The status that an HTTP response would have. */
  readonly statusCode: number;
  readonly message: string;
}

/** `NOT_FOUND` for `Not Found`, as GraphQL servers write codes. */
function codeOf({ error }: MedplumExceptionAnswer): string {
  return error.toUpperCase().replace(/\W+/g, '_');
}

/** The payload for WebSockets and microservices, in the form of Nest's own. */
export function messageAnswer(answer: MedplumExceptionAnswer): MessageAnswer {
  return { status: 'error', code: codeOf(answer), statusCode: answer.status, message: answer.text };
}

/** Apollo sends them as headers of the response. Mercurius writes them into its body, where a Map would be empty. */
class HttpHeaders extends Map<string, string> {
  /** @param retryAfter in ms. */
  constructor(retryAfter: number) {
    super([['retry-after', String(Math.ceil(retryAfter / 1000))]]);
  }

  toJSON(): object {
    return Object.fromEntries(this);
  }
}

/** An error whose `extensions` a GraphQL server takes over (`graphql` copies them from the original error). */
export function graphqlAnswer(answer: MedplumExceptionAnswer): Error {
  const { status, retryAfter } = answer;
  const headers = retryAfter === undefined ? undefined : new HttpHeaders(retryAfter);
  // 304 has no body, so it would lose the rest of the data.
  const http = status < 400 ? {} : { http: { status, ...(headers && { headers }) } };
  const error = Object.assign(new Error(answer.text), { extensions: { code: codeOf(answer), ...http } });
  // Some drivers print the stack, which names files of the app.
  error.stack = `Error: ${answer.text}`;
  return error;
}

/** Sends an `exception` event, as Nest's own filter does: the clients of `ws` have a state, those of Socket.IO `emit`. */
export function sendToSocket(client: unknown, data: MessageAnswer): void {
  const socket = client as {
    readonly readyState?: unknown;
    send?(text: string): void;
    emit?(event: string, data: unknown): void;
  };
  if (typeof socket.readyState === 'number') {
    socket.send?.(JSON.stringify({ event: 'exception', data }));
  } else {
    socket.emit?.('exception', data);
  }
}
