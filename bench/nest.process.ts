import 'reflect-metadata';
import {
  type CallHandler,
  type CanActivate,
  Controller,
  type ExecutionContext,
  Get,
  type INestApplication,
  Injectable,
  Module,
  type NestInterceptor,
  UseGuards,
  UseInterceptors,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { Observable } from 'rxjs';
import { serve, usageOf } from './measured-process';

const ANSWER = { resourceType: 'Patient', id: '1', active: true };

@Injectable()
class PassingGuard implements CanActivate {
  canActivate(): boolean {
    return true;
  }
}

@Injectable()
class PassingInterceptor implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
    return next.handle();
  }
}

@Controller()
class Bare {
  @Get('patient')
  async patient() {
    return ANSWER;
  }
}

@Controller()
class Passing {
  @Get('patient')
  @UseGuards(PassingGuard)
  @UseInterceptors(PassingInterceptor)
  async patient() {
    return ANSWER;
  }
}

@Module({ controllers: [Bare] })
class BareApp {}

@Module({ controllers: [Passing] })
class PassingApp {}

async function oursApp(): Promise<new () => object> {
  const { fromUser, MedplumModule, OnBehalfOf } = await import('nestjs-medplum');
  const options = { baseUrl: 'http://127.0.0.1:1/', clientId: 'client', clientSecret: 'secret' };

  @Controller()
  class Ours {
    @Get('patient')
    @OnBehalfOf(fromUser('membership'))
    async patient() {
      return ANSWER;
    }
  }

  @Module({ imports: [MedplumModule.forRoot(options)], controllers: [Ours] })
  class OursApp {}
  return OursApp;
}

async function clsApp(): Promise<new () => object> {
  const { ClsModule } = await import('nestjs-cls');

  @Module({ imports: [ClsModule.forRoot({ middleware: { mount: true } })], controllers: [Bare] })
  class ClsApp {}
  return ClsApp;
}

/** nestjs-cls turns AsyncLocalStorage on when it loads, which makes every promise of the process dearer before Node 24. */
async function passingAppWithCls(): Promise<new () => object> {
  await import('nestjs-cls');
  return PassingApp;
}

/** Each loads only what it measures. */
const APPS: Readonly<Record<string, () => Promise<new () => object>>> = {
  'bare handler': () => Promise.resolve(BareApp),
  'guard + passing interceptor': () => Promise.resolve(PassingApp),
  'the same, nestjs-cls loaded': passingAppWithCls,
  '@OnBehalfOf()': oursApp,
  ClsMiddleware: clsApp,
};

const USER = { membership: 'ProjectMembership/m-1' };

/** The app, with somebody logged in for every request. */
async function create(name: string, platform: string): Promise<INestApplication> {
  const root = await APPS[name]?.();
  if (!root) {
    throw new Error(`There is no ${name}.`);
  }
  const logger = ['error', 'warn'] as const;
  if (platform === 'Express') {
    const app = await NestFactory.create(root, new ExpressAdapter(), { logger: [...logger] });
    app.use((request: { user?: object }, _response: object, next: () => void) => {
      request.user = USER;
      next();
    });
    return app;
  }
  const adapter = new FastifyAdapter();
  adapter.getInstance().addHook('onRequest', (request, _reply, done) => {
    (request as { user?: object }).user = USER;
    done();
  });
  return NestFactory.create<NestFastifyApplication>(root, adapter, { logger: [...logger] });
}

async function main(): Promise<void> {
  const [, , name = '', platform = ''] = process.argv;
  const app = await create(name, platform);
  await app.listen(0, '127.0.0.1');
  serve(await app.getUrl(), () => usageOf(() => Promise.resolve()).then((none) => ({ ...none, ...total() })));
}

function total() {
  const { user, system } = process.cpuUsage();
  return { cpu: user + system, user, wall: Number(process.hrtime.bigint()) / 1000 };
}

void main();
