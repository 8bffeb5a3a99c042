import type { ModuleMetadata } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import {
  MedplumAudit,
  MedplumModule,
  type MedplumModuleOptions,
  MedplumService,
  type RequestEvent,
} from 'nestjs-medplum';
import { closeAll } from './close-all';
import { type WireHandler, WireServer } from './wire-server';

/** An app context with one client, connected to a recording server. Close it with `close()`. */
export interface MedplumApp {
  readonly wire: WireServer;
  readonly module: TestingModule;
  readonly medplum: MedplumService;
  /** Every event so far. */
  readonly events: RequestEvent[];
  close(): Promise<void>;
}

/** Starts a recording server, and an app context whose unnamed client is connected to it. */
export async function startMedplumApp(
  options: Partial<MedplumModuleOptions> = {},
  more: { readonly handler?: WireHandler; readonly basePath?: string } & ModuleMetadata = {},
): Promise<MedplumApp> {
  const { handler, basePath = '', imports = [], ...metadata } = more;
  const wire = await WireServer.start(handler);
  const baseUrl = wire.baseUrl + basePath;
  const module = await Test.createTestingModule({
    ...metadata,
    imports: [MedplumModule.forRoot(wire.options({ baseUrl, ...options })), ...imports],
  })
    .compile()
    .then((compiled) => compiled.init())
    .catch(async (error: unknown) => {
      await wire.close();
      throw error;
    });
  const events: RequestEvent[] = [];
  module.get(MedplumAudit).events$.subscribe((event) => events.push(event));
  return {
    wire,
    module,
    medplum: module.get(MedplumService),
    events,
    close: () => closeAll(module, wire),
  };
}
