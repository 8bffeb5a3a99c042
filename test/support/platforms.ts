import type { INestApplication, NestApplicationOptions } from '@nestjs/common';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { TestingModule } from '@nestjs/testing';

export const PLATFORMS = ['express', 'fastify'] as const;
export type Platform = (typeof PLATFORMS)[number];

/** Starts an app on this platform, which listens on loopback. */
export async function listen(
  module: TestingModule,
  platform: Platform,
  prepare: (app: INestApplication) => void = () => undefined,
  options: NestApplicationOptions = {},
): Promise<{ readonly app: INestApplication; readonly url: string }> {
  const app: INestApplication =
    platform === 'express'
      ? module.createNestApplication(new ExpressAdapter(), options)
      : module.createNestApplication<NestFastifyApplication>(new FastifyAdapter(), options);
  prepare(app);
  await app.listen(0, '127.0.0.1');
  return { app, url: await app.getUrl() };
}
