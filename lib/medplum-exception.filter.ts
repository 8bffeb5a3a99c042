import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException, Logger } from '@nestjs/common';
import { HttpAdapterHost, ModulesContainer } from '@nestjs/core';
import { throwError } from 'rxjs';
import { MedplumError } from './errors/medplum.error';
import { callSite, handlerOf, routeOf } from './exception-place';
import { type ExceptionAnswer, exceptionAnswer } from './exception-answer';

interface HttpRequest {
  readonly method: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

/**
 * Answers HTTP requests whose handler let a {@link MedplumError} through, in texts of our own: the server's may quote
 * stored values. Callers that accept `application/fhir+json` get an OperationOutcome, others a body as Nest's.
 *
 * It is for HTTP only: in other contexts the error is passed on as it is. MedplumModule registers it for the app unless
 * `exceptionFilter: false`; it then goes before a catch-all `APP_FILTER` of the app, and after `app.useGlobalFilters()`.
 */
@Catch(MedplumError)
export class MedplumExceptionFilter implements ExceptionFilter<MedplumError> {
  readonly #logger = new Logger('MedplumExceptionFilter');
  readonly #adapterHost: HttpAdapterHost;
  readonly #modules: ModulesContainer;

  constructor(adapterHost: HttpAdapterHost, modules: ModulesContainer) {
    this.#adapterHost = adapterHost;
    this.#modules = modules;
  }

  /** @throws the error itself outside of HTTP. */
  catch(error: MedplumError, host: ArgumentsHost): unknown {
    const type = host.getType<string>();
    if (type === 'rpc') {
      // Nest sends what an RPC filter returns; its own base filter rethrows like this.
      return throwError(() => error);
    }
    if (type !== 'http') {
      throw error;
    }
    const answer = exceptionAnswer(error);
    const request = host.switchToHttp().getRequest<HttpRequest>();
    this.#log(error, answer, request);
    this.#reply(answer, request, host.switchToHttp().getResponse());
    return undefined;
  }

  #log(error: MedplumError, answer: ExceptionAnswer, request: HttpRequest): void {
    if (answer.status < 500) {
      return;
    }
    const route = routeOf(request);
    const handler = handlerOf(route, this.#modules) ?? 'unknown handler';
    const place = `${handler} (${route}), called by ${callSite(error) ?? 'an unknown method'}`;
    const line = `${error.name} in ${place}: ${error.message}`;
    if (answer.status === 500) {
      this.#logger.error(line);
    } else {
      this.#logger.warn(line);
    }
  }

  #reply(answer: ExceptionAnswer, request: HttpRequest, response: unknown): void {
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
    // As text: the Express adapter of Nest 11 sets the type of an object to application/json.
    adapter.reply(response, JSON.stringify(outcome), status);
  }
}

/** Fastify's adapter in Nest 11 knows nothing of headers that a handler has written past it. */
function rawHeadersSent(response: unknown): boolean {
  return (response as { raw?: { headersSent?: boolean } }).raw?.headersSent === true;
}
