import { Readable } from 'node:stream';
import {
  Controller,
  Get,
  type INestApplication,
  type MessageEvent,
  Param,
  Sse,
  StreamableFile,
  UseGuards,
} from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { defer, from, map, mergeMap, type Observable, of, timer } from 'rxjs';
import { fromUser, MedplumModule, MedplumService, OnBehalfOf } from 'nestjs-medplum';
import { closeAll } from '../support/close-all';
import { listen, PLATFORMS } from '../support/platforms';
import { seededRandom } from '../support/seeded-random';
import { TestUserGuard } from '../support/test-user.guard';
import { WireServer, resourceAsked, type WireRequest } from '../support/wire-server';

@Controller()
@UseGuards(TestUserGuard)
@OnBehalfOf(fromUser('membership'))
class AnswersController {
  constructor(private readonly medplum: MedplumService) {}

  private async read(id: string): Promise<string> {
    await this.medplum.readResource('Patient', id);
    return `${this.medplum.currentOnBehalfOf};`;
  }

  private async *lines(id: string): AsyncGenerator<string> {
    for (const part of [1, 2, 3]) {
      yield await this.read(`${id}-${part}`);
    }
  }

  @Get('promise/:id')
  promise(@Param('id') id: string): Promise<string> {
    return this.read(id);
  }

  @Get('observable/:id')
  observable(@Param('id') id: string): Observable<string> {
    return timer(1).pipe(mergeMap(() => this.read(id)));
  }

  @Get('defer/:id')
  deferred(@Param('id') id: string): Observable<string> {
    return defer(() => from(this.read(id)));
  }

  @Get('promised-observable/:id')
  async promisedObservable(@Param('id') id: string): Promise<Observable<string>> {
    return of(id).pipe(mergeMap((value) => this.read(value)));
  }

  @Get('stream/:id')
  stream(@Param('id') id: string): StreamableFile {
    return new StreamableFile(Readable.from(this.lines(id)));
  }

  @Sse('sse/:id')
  sse(@Param('id') id: string): Observable<MessageEvent> {
    return from(this.lines(id)).pipe(map((data) => ({ data })));
  }
}

const random = seededRandom();

describe.each(PLATFORMS)('Answers on %s', (platform) => {
  let wire: WireServer;
  let app: INestApplication;
  let url: string;

  beforeAll(async () => {
    wire = await WireServer.start();
    wire.handler = (request: WireRequest) => ({ delay: random() * 5, body: resourceAsked(request) });
    const module = await Test.createTestingModule({
      imports: [MedplumModule.forRoot(wire.options())],
      controllers: [AnswersController],
    }).compile();
    ({ app, url } = await listen(module, platform));
  });

  afterAll(async () => {
    await closeAll(app, wire);
  });

  it.each([
    ['promise', 1],
    ['observable', 1],
    ['defer', 1],
    ['promised-observable', 1],
    ['stream', 3],
    ['sse', 3],
  ])('a handler that returns %s keeps its identity', async (kind, reads) => {
    wire.requests.length = 0;
    await Promise.all(
      ['ann', 'bob', 'cem'].map(async (name) => {
        const response = await fetch(`${url}/${kind}/${name}`, { headers: { 'x-test-user': name } });
        const identities = (await response.text()).match(/ProjectMembership\/\w+/g);
        expect(identities).toEqual(Array(reads).fill(`ProjectMembership/${name}`));
        expect(response.headers.get('cache-control')).toContain('no-store');
      }),
    );
    expect(wire.requests).toHaveLength(reads * 3);
    for (const { path, onBehalfOf } of wire.requests) {
      expect(onBehalfOf).toBe(`ProjectMembership/${/Patient\/(\w+)/.exec(path)?.[1]}`);
    }
  });
});
