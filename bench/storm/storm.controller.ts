import type { ServerResponse } from 'node:http';
import {
  type CallHandler,
  type CanActivate,
  Controller,
  type ExecutionContext,
  Get,
  Inject,
  Injectable,
  type NestInterceptor,
  Param,
  Req,
  ServiceUnavailableException,
  UseGuards,
  UseInterceptors,
} from '@nestjs/common';
import { AsClientApplication, CurrentOnBehalfOf, fromUser, OnBehalfOf } from 'nestjs-medplum';
import { defer, finalize, type Observable, retry } from 'rxjs';
import { Ledger } from './ledger';
import { Random } from './random';
import { Scenes } from './scenes';
import { CLIENT, type Expected, NEVER } from './storm.types';

export interface StormRequest {
  readonly headers: Readonly<Record<string, string | undefined>>;
  user?: { readonly membership: string };
  /** Resolves when the response is closed. */
  responseClosed?: Promise<void>;
  /** How often the handler ran. */
  runs?: number;
}

/** What a handler responds with. */
export interface StormAnswer {
  readonly owner: string;
  readonly onBehalfOf: string | undefined;
}

/** Logs in whom the request names, after a while. */
@Injectable()
class LoginGuard implements CanActivate {
  async canActivate(context: ExecutionContext): Promise<boolean> {
    await new Promise((resolve) => setImmediate(resolve));
    const request = context.switchToHttp().getRequest<StormRequest>();
    request.user = { membership: `ProjectMembership/${request.headers['x-storm-user']}` };
    return true;
  }
}

/** Runs a handler again when it fails, and tells it when its response is closed. It is outside of the library's own. */
@Injectable()
class OuterRetryInterceptor implements NestInterceptor {
  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const http = context.switchToHttp();
    const reply = http.getResponse<ServerResponse & { readonly raw?: ServerResponse }>();
    const response = reply.raw ?? reply;
    http.getRequest<StormRequest>().responseClosed = new Promise((resolve) => {
      if (response.destroyed) {
        resolve();
      } else {
        response.once('close', () => resolve());
      }
    });
    return defer(() => next.handle()).pipe(retry({ count: 2 }));
  }
}

/**
 * The work of a handler as an Observable. Nest unsubscribes from it when the client hangs up. That ends the scope, but not
 * the work.
 */
function observed<T>(expected: Expected, work: (expected: Expected) => Promise<T>): Observable<T> {
  return defer(() => {
    let isOver = false;
    return defer(() => work({ ...expected, isLeftBehind: () => isOver })).pipe(finalize(() => (isOver = true)));
  });
}

@Controller('users/:owner')
@UseGuards(LoginGuard)
@UseInterceptors(OuterRetryInterceptor)
export class StormController {
  constructor(
    @Inject(Scenes) private readonly scenes: Scenes,
    @Inject(Ledger) private readonly ledger: Ledger,
  ) {}

  @Get('promise')
  @OnBehalfOf(fromUser('membership'))
  promise(@Param('owner') owner: string, @Req() request: StormRequest, @CurrentOnBehalfOf() who: string) {
    return this.#work({ owner, header: who }, request);
  }

  @Get('observable')
  @OnBehalfOf(fromUser('membership'))
  observable(@Param('owner') owner: string, @Req() request: StormRequest, @CurrentOnBehalfOf() who: string) {
    return observed({ owner, header: who }, (expected) => this.#work(expected, request));
  }

  /** Fails when a call fails, so that the outer interceptor runs it again. */
  @Get('retried')
  @OnBehalfOf(fromUser('membership'))
  retried(@Param('owner') owner: string, @Req() request: StormRequest, @CurrentOnBehalfOf() who: string) {
    this.ledger.counts.outerRetries += request.runs === undefined ? 0 : 1;
    request.runs = (request.runs ?? 0) + 1;
    const random = new Random(Number(request.headers['x-storm-seed']) + request.runs);
    return observed({ owner, header: who }, async (expected) => {
      if (!(await this.scenes.call(random, expected))) {
        throw new ServiceUnavailableException();
      }
      return this.#work(expected, request);
    });
  }

  @Get('client')
  @AsClientApplication({ reason: 'storm' })
  async client(@Req() request: StormRequest): Promise<StormAnswer> {
    return this.#work(CLIENT, request);
  }

  @Get('nobody')
  async nobody(@Req() request: StormRequest): Promise<StormAnswer> {
    return this.#work(NEVER, request);
  }

  /** Plays scenes, and leaves a call behind that comes too late. */
  async #work(expected: Expected, request: StormRequest): Promise<StormAnswer> {
    const random = new Random(Number(request.headers['x-storm-seed']));
    const late = random.chance(0.2);
    const work = this.scenes.play(random, expected);
    if (late) {
      const over = Promise.allSettled([work, request.responseClosed]);
      this.ledger.later(
        over
          .then(() => new Promise<void>((resolve) => setImmediate(resolve)))
          .then(() => this.scenes.call(random, NEVER)),
      );
    }
    await work;
    return { owner: expected.owner, onBehalfOf: expected.header };
  }
}
