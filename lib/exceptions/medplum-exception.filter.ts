import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException, Logger } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { throwError } from 'rxjs';
import { MedplumError } from '../errors/medplum.error';
import { exceptionAnswer, type MedplumExceptionAnswer } from './exception-answer';
import { graphqlAnswer, messageAnswer, sendToSocket } from './exception-messages';
import { placeOf } from './exception-place';

interface HttpRequest {
  readonly method: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

/**
 * Answers a request when its handler throws a {@link MedplumError}. The texts are the library's own, because the
 * server's may quote stored values. Clients that accept `application/fhir+json` get an OperationOutcome, others a body
 * like Nest's.
 *
 * In GraphQL, WebSocket and microservice handlers, the answer has the same text, and a `code` such as `NOT_FOUND`.
 * MedplumModule registers it for the app unless
 * `exceptionFilter: false`. It then runs before a catch-all `APP_FILTER` of the app, and after `app.useGlobalFilters()`.
 *
 * To change an answer or the log line, extend the class, override {@link MedplumExceptionFilter.answer} or
 * {@link MedplumExceptionFilter.log}, and register your class with `exceptionFilter: false` and `APP_FILTER`.
 */
@Catch(MedplumError)
export class MedplumExceptionFilter implements ExceptionFilter<MedplumError> {
  readonly #logger = new Logger('MedplumExceptionFilter');
  readonly #adapterHost: HttpAdapterHost;

  constructor(adapterHost: HttpAdapterHost) {
    this.#adapterHost = adapterHost;
  }

  /** @throws in GraphQL, an error with the answer as its `extensions`. In unknown contexts, the error itself. */
  catch(error: MedplumError, host: ArgumentsHost): unknown {
    const type = host.getType<string>();
    const answer = this.answer(error, host);
    // An event of a microservice has no client that could be told.
    if (answer.status >= 500 || type === 'rpc') {
      this.log(error, answer, placeIn(type, error, host));
    }
    if (type === 'http') {
      this.#reply(answer, host.switchToHttp().getRequest<HttpRequest>(), host.switchToHttp().getResponse());
      return undefined;
    }
    if (type === 'rpc') {
      // Nest sends what an RPC filter returns. Nest's own base filter sends an RpcException like this.
      return throwError(() => messageAnswer(answer));
    }
    if (type === 'ws') {
      sendToSocket(host.switchToWs().getClient(), messageAnswer(answer));
      return undefined;
    }
    throw type === 'graphql' ? graphqlAnswer(answer) : error;
  }

  /**
   * Decides what the client is told. Override it for a status or a text of your own.
   *
   * Put nothing of the error into it that may identify a record: `error.outcome` holds texts of the server.
   */
  protected answer(error: MedplumError, _host: ArgumentsHost): MedplumExceptionAnswer {
    return exceptionAnswer(error);
  }

  /**
   * Called for a status of 500 and above, and for every error of a microservice, whose events have nobody to answer to.
   * Logs 500 as an error, because your app has to be mended, and the others as warnings. Override it for a log line of
   * your own.
   *
   * @param place the route, and the method of your app that made the call if the stack shows it:
   * `GET /patients/:id, called by Charts.read`.
   */
  protected log(error: MedplumError, answer: MedplumExceptionAnswer, place: string): void {
    const line = `${error.name} in ${place}: ${error.message}`;
    if (answer.status === 500) {
      this.#logger.error(line);
    } else {
      this.#logger.warn(line);
    }
  }

  #reply(answer: MedplumExceptionAnswer, request: HttpRequest, response: unknown): void {
    const adapter = this.#adapterHost.httpAdapter;
    if (adapter.isHeadersSent(response) || rawHeadersSent(response)) {
      adapter.end(response);
      return;
    }
    const { status, text, issue, retryAfter } = answer;
    if (retryAfter !== undefined) {
      adapter.setHeader(response, 'retry-after', String(Math.ceil(retryAfter / 1000)));
    }
    if (!/application\/fhir\+json/i.test([request.headers['accept']].flat().join())) {
      adapter.reply(response, HttpException.createBody(text, answer.error, status), status);
      return;
    }
    adapter.setHeader(response, 'content-type', 'application/fhir+json; charset=utf-8');
    const outcome = {
      resourceType: 'OperationOutcome',
      issue: [{ severity: 'error', code: issue, details: { text } }],
    };
    // As text, because the Express adapter of Nest 11 sets the type of an object to application/json.
    adapter.reply(response, JSON.stringify(outcome), status);
  }
}

function placeIn(type: string, error: MedplumError, host: ArgumentsHost): string {
  return type === 'http' ? placeOf(error, host.switchToHttp().getRequest<HttpRequest>()) : `a handler (${type})`;
}

/** Fastify's adapter in Nest 11 does not see headers that a handler writes to the raw response. */
function rawHeadersSent(response: unknown): boolean {
  return (response as { raw?: { headersSent?: boolean } }).raw?.headersSent === true;
}
