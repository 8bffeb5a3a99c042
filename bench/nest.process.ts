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
import type { Usage } from './bench.types';
import { CLS_MIDDLEWARE, DECORATED, EMPTY, PASSING, PASSING_WITH_CLS } from './handler-cost';
import { serve } from './measured-process';
import { PATIENT_ID } from './patient-id';

const PATIENT = { resourceType: 'Patient', id: PATIENT_ID, active: true };

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
class Empty {
  @Get('patient')
  async patient() {
    return PATIENT;
  }
}

@Controller()
class Passing {
  @Get('patient')
  @UseGuards(PassingGuard)
  @UseInterceptors(PassingInterceptor)
  async patient() {
    return PATIENT;
  }
}

@Module({ controllers: [Empty] })
class EmptyApp {}

@Module({ controllers: [Passing] })
class PassingApp {}

async function decoratedApp(): Promise<new () => object> {
  const { fromUser, MedplumModule, OnBehalfOf } = await import('nestjs-medplum');
  const options = { baseUrl: 'http://127.0.0.1:1/', clientId: 'client', clientSecret: 'secret' };

  @Controller()
  class Decorated {
    @Get('patient')
    @OnBehalfOf(fromUser('membership'))
    async patient() {
      return PATIENT;
    }
  }

  @Module({ imports: [MedplumModule.forRoot(options)], controllers: [Decorated] })
  class DecoratedApp {}
  return DecoratedApp;
}

async function clsApp(): Promise<new () => object> {
  const { ClsModule } = await import('nestjs-cls');

  @Module({ imports: [ClsModule.forRoot({ middleware: { mount: true } })], controllers: [Empty] })
  class ClsApp {}
  return ClsApp;
}

/** nestjs-cls turns AsyncLocalStorage on when it loads. Every promise of the process then costs more before Node 24. */
async function passingAppWithCls(): Promise<new () => object> {
  await import('nestjs-cls');
  return PassingApp;
}

/** Each app loads only what it measures. */
const APPS: Readonly<Record<string, () => Promise<new () => object>>> = {
  [EMPTY]: () => Promise.resolve(EmptyApp),
  [PASSING]: () => Promise.resolve(PassingApp),
  [PASSING_WITH_CLS]: passingAppWithCls,
  [DECORATED]: decoratedApp,
  [CLS_MIDDLEWARE]: clsApp,
};

const USER = { membership: 'ProjectMembership/m-1' };

/** Creates the app. A user is logged in for every request. */
async function create(name: string, platform: string): Promise<INestApplication> {
  const root = await APPS[name]?.();
  if (!root) {
    throw new Error(`There is no app called "${name}".`);
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
  serve(await app.getUrl(), () => Promise.resolve(total()));
}

/** The time this process has used since it started. */
function total(): Usage {
  const { user, system } = process.cpuUsage();
  return { cpu: user + system, user, wall: Number(process.hrtime.bigint()) / 1000 };
}

void main();
