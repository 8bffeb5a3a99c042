import {
  type ArgumentsHost,
  Catch,
  Controller,
  type ExceptionFilter,
  Get,
  type INestApplication,
  type MiddlewareConsumer,
  Module,
  type NestModule,
} from '@nestjs/common';
import { APP_FILTER, HttpAdapterHost } from '@nestjs/core';
import { Test } from '@nestjs/testing';
import type { ServerResponse } from 'node:http';
import { ClsModule, ClsService } from 'nestjs-cls';
import { MedplumModule, MedplumService, OnBehalfOf } from 'nestjs-medplum';
import { listen, PLATFORMS } from '../support/platforms';
import { WireServer } from '../support/wire-server';

const seen: Record<string, unknown> = {};

class Boom extends Error {}

@Catch(Boom)
class BoomFilter implements ExceptionFilter {
  constructor(
    private readonly cls: ClsService,
    private readonly adapterHost: HttpAdapterHost,
  ) {}

  catch(_error: Boom, host: ArgumentsHost): void {
    seen['filter'] = this.cls.get('tenant');
    this.adapterHost.httpAdapter.reply(host.switchToHttp().getResponse(), 'boom', 418);
  }
}

@Controller('chart')
@OnBehalfOf('ProjectMembership/a')
class ChartController {
  constructor(
    private readonly cls: ClsService,
    private readonly medplum: MedplumService,
  ) {}

  @Get()
  async read(): Promise<never> {
    seen['handler'] = this.cls.get('fromMiddleware');
    await this.medplum.readResource('Patient', '1');
    this.cls.set('tenant', 'springfield');
    throw new Boom();
  }
}

@Module({
  imports: [ClsModule.forRoot({ middleware: { mount: true, setup: (cls) => cls.set('fromMiddleware', 'yes') } })],
  controllers: [ChartController],
  providers: [{ provide: APP_FILTER, useClass: BoomFilter }],
})
class AppModule implements NestModule {
  constructor(private readonly cls: ClsService) {}

  configure(consumer: MiddlewareConsumer): void {
    const listenForFinish = (_request: unknown, response: ServerResponse, next: () => void): void => {
      response.on('finish', () => (seen['finish'] = this.cls.get('tenant')));
      next();
    };
    consumer.apply(listenForFinish).forRoutes(ChartController);
  }
}

describe.each(PLATFORMS)("The app's own nestjs-cls context on %s", (platform) => {
  let wire: WireServer;
  let app: INestApplication | undefined;

  afterEach(async () => {
    await app?.close();
    await wire.close();
  });

  it('is neither copied nor written: filters and finish listeners see what the handler set', async () => {
    wire = await WireServer.start();
    const module = await Test.createTestingModule({
      imports: [AppModule, MedplumModule.forRoot(wire.options())],
    }).compile();
    const started = await listen(module, platform);
    app = started.app;
    for (const key of Object.keys(seen)) delete seen[key];
    const response = await fetch(`${started.url}/chart`);
    expect([response.status, await response.text()]).toEqual([418, 'boom']);
    await app.close();
    expect(seen).toEqual({ handler: 'yes', filter: 'springfield', finish: 'springfield' });
    expect(wire.identities).toEqual(['ProjectMembership/a']);
  });
});
