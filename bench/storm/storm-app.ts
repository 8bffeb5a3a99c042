import type { Server } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import { type INestApplication, Logger } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { MedplumAudit, MedplumModule, MedplumService } from 'nestjs-medplum';
import { Agent, errors, Pool } from 'undici';
import { Ledger } from './ledger';
import type { DispatcherKind, Platform } from './options';
import type { Random } from './random';
import { Scenes } from './scenes';
import { StormController, type StormAnswer } from './storm.controller';
import { CLIENT, type Expected, NEVER } from './storm.types';

class StormModule {}

const ROUTES = ['promise', 'promise', 'observable', 'retried', 'retried', 'client', 'nobody'] as const;

/** One Nest app with its own client, and what sends it requests. */
export class StormApp {
  readonly #app: INestApplication;
  readonly #inbound: Pool;
  readonly #agent: Agent | undefined;
  readonly #ledger: Ledger;
  readonly #scenes: Scenes;

  private constructor(app: INestApplication, inbound: Pool, agent: Agent | undefined, ledger: Ledger) {
    this.#app = app;
    this.#inbound = inbound;
    this.#agent = agent;
    this.#ledger = ledger;
    this.#scenes = app.get(Scenes);
  }

  /** Starts an app. With an agent, its requests also wait for a `beforeRequest` hook. */
  static async start(
    platform: Platform,
    kind: DispatcherKind,
    baseUrl: string,
    users: number,
    ledger: Ledger,
  ): Promise<StormApp> {
    const agent = kind === 'agent' ? new Agent({ connections: 64 }) : undefined;
    const medplum = MedplumModule.forRoot({
      baseUrl,
      clientId: 'client',
      clientSecret: 'secret',
      abortOnDisconnect: true,
      auditContext: ledger.auditContext,
      retry: { minTimeout: 5, maxTimeout: 100, budget: 1_000 },
      ...(agent && { dispatcher: agent, beforeRequest: () => wait(1) }),
    });
    const scenes = {
      provide: Scenes,
      inject: [MedplumService],
      useFactory: (service: MedplumService) => new Scenes(service, ledger, users),
    };
    const root = {
      module: StormModule,
      imports: [medplum],
      controllers: [StormController],
      providers: [scenes, { provide: Ledger, useValue: ledger }],
    };
    // The filter logs each call that the server failed, which is what the storm is made of.
    Logger.overrideLogger(false);
    const app =
      platform === 'express'
        ? await NestFactory.create(root, new ExpressAdapter())
        : await NestFactory.create<NestFastifyApplication>(root, new FastifyAdapter());
    app.get(MedplumAudit).events$.subscribe((event) => ledger.record(event));
    await app.listen(0, '127.0.0.1');
    // The storm's own client must not meet a connection that the app has just closed for idleness.
    (app.getHttpServer() as Server).keepAliveTimeout = 300_000;
    return new StormApp(app, new Pool(await app.getUrl(), { connections: 64 }), agent, ledger);
  }

  /** Plays one scene: through a handler, or directly in a scope, or outside of any. */
  async play(random: Random): Promise<void> {
    const who = this.#scenes.anybody(random);
    const draw = random.next();
    if (draw < 0.7) {
      await this.#request(random, who);
    } else if (draw < 0.9) {
      const medplum = this.#app.get(MedplumService);
      await medplum.onBehalfOf(who.header ?? '', () => this.#scenes.play(random, who));
    } else {
      await this.#scenes.play(random, NEVER);
    }
  }

  async #request(random: Random, who: Expected): Promise<void> {
    const route = random.pick(ROUTES);
    const expected = { client: CLIENT, nobody: NEVER, promise: who, observable: who, retried: who }[route];
    const hangUp = random.chance(0.08) ? new AbortController() : undefined;
    const timer = hangUp && setTimeout(() => hangUp.abort(), random.below(20));
    try {
      const { statusCode, body } = await this.#inbound.request({
        method: 'GET',
        path: `/users/${who.owner}/${route}`,
        headers: { 'x-storm-user': who.owner, 'x-storm-seed': String(random.seed()) },
        ...(hangUp && { signal: hangUp.signal }),
      });
      const text = await body.text();
      if (statusCode === 200) {
        this.#check(route, expected, JSON.parse(text) as StormAnswer);
      } else if (!(statusCode === 503 && route === 'retried')) {
        this.#ledger.surprise(`the handler ${route} responded with ${statusCode}`);
      }
    } catch (error) {
      if (!hangUp?.signal.aborted || !(error instanceof errors.RequestAbortedError || isAbort(error))) {
        this.#ledger.surprise(`the handler ${route} failed with ${String(error)}`);
      } else {
        this.#ledger.counts.hangUps++;
      }
    } finally {
      clearTimeout(timer);
    }
  }

  #check(route: string, { owner, header }: Expected, answer: StormAnswer): void {
    if (answer.owner !== owner || answer.onBehalfOf !== header) {
      this.#ledger.mixUp(`the handler ${route} of ${owner} responded as ${answer.owner}, for ${answer.onBehalfOf}`);
    }
  }

  async close(): Promise<void> {
    await this.#inbound.close();
    await this.#app.close();
    await this.#agent?.close();
  }
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError';
}
