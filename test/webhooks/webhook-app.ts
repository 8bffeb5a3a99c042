import { Controller, Injectable, type INestApplication, Post } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import {
  CurrentOnBehalfOf,
  enableFhirJson,
  getMedplumOptionsToken,
  MedplumModule,
  type MedplumModuleOptions,
  MedplumService,
} from 'nestjs-medplum';
import type { Patient } from 'nestjs-medplum/fhirtypes';
import { type SeededMember, MedplumEmulator } from 'nestjs-medplum/testing';
import { MedplumWebhook, type MedplumWebhookEvent, WebhookEvent } from 'nestjs-medplum/webhooks';
import { closeAll } from '../support/close-all';
import { listen, type Platform } from '../support/platforms';

/** The secrets of the routes below. */
export const SECRETS = {
  patients: 'the secret of the patients',
  others: 'the secret of the others',
  rotated: ['the new secret of the rotated', 'the old secret of the rotated'],
} as const;

/** What a handler was called with. */
export interface Handled {
  readonly route: string;
  readonly event: MedplumWebhookEvent<Patient>;
  readonly onBehalfOf: string | undefined;
}

/** What the handlers do, and what they were called with. */
@Injectable()
export class Handlers {
  readonly handled: Handled[] = [];
  /** Who they run as. */
  membership: string | undefined;
  /** What they do next. */
  work: (medplum: MedplumService, event: MedplumWebhookEvent<Patient>) => unknown = () => undefined;
}

const WHO = (): string | undefined => current?.membership;

/** The decorators stand for all apps of a test file, which run one after the other. */
let current: Handlers | undefined;

@Controller('hooks')
class HooksController {
  constructor(
    private readonly handlers: Handlers,
    private readonly medplum: MedplumService,
  ) {}

  @Post('patients')
  @MedplumWebhook({ resourceType: 'Patient', secret: SECRETS.patients, onBehalfOf: WHO })
  patients(@WebhookEvent() event: MedplumWebhookEvent<Patient>, @CurrentOnBehalfOf() onBehalfOf: string) {
    return this.#handle('patients', event, onBehalfOf);
  }

  @Post('others')
  @MedplumWebhook({ resourceType: 'Patient', secret: () => Promise.resolve(SECRETS.others), onBehalfOf: WHO })
  others(@WebhookEvent() event: MedplumWebhookEvent<Patient>, @CurrentOnBehalfOf() onBehalfOf: string) {
    return this.#handle('others', event, onBehalfOf);
  }

  @Post('rotated')
  @MedplumWebhook({ resourceType: 'Patient', secret: SECRETS.rotated, onBehalfOf: WHO })
  rotated(@WebhookEvent() event: MedplumWebhookEvent<Patient>, @CurrentOnBehalfOf() onBehalfOf: string) {
    return this.#handle('rotated', event, onBehalfOf);
  }

  #handle(route: string, event: MedplumWebhookEvent<Patient>, onBehalfOf: string | undefined): unknown {
    this.handlers.handled.push({ route, event, onBehalfOf });
    return this.handlers.work(this.medplum, event);
  }
}

/** An app with webhooks, connected to an embedded Medplum with two members. */
export interface WebhookApp {
  readonly url: string;
  readonly emulator: MedplumEmulator;
  readonly app: INestApplication;
  readonly handlers: Handlers;
  /** May read every patient. */
  readonly ann: SeededMember;
  /** May read female patients only. */
  readonly bea: SeededMember;
  post(route: string, init: RequestInit): Promise<number>;
  close(): Promise<void>;
}

/** Starts an app on this platform. Its handlers run as Ann. */
export async function startWebhookApp(
  platform: Platform,
  options: Partial<MedplumModuleOptions> = {},
): Promise<WebhookApp> {
  const emulator = await MedplumEmulator.start();
  try {
    const ann = await emulator.createMember({
      profile: { resourceType: 'Practitioner', name: [{ family: 'Ann' }] },
      policy: [{ resourceType: 'Patient' }],
    });
    const bea = await emulator.createMember({
      profile: { resourceType: 'Practitioner', name: [{ family: 'Bea' }] },
      policy: [{ resourceType: 'Patient', criteria: 'Patient?gender=female' }],
    });
    const module = await Test.createTestingModule({
      imports: [MedplumModule.forRoot({ clientId: 'overridden', clientSecret: 'overridden' })],
      controllers: [HooksController],
      providers: [Handlers],
    })
      .overrideProvider(getMedplumOptionsToken())
      .useValue({ ...emulator.options(), retry: { maxRetries: 0 }, ...options })
      .compile();
    const { app, url } = await listen(module, platform, enableFhirJson, { rawBody: true });
    const handlers = app.get(Handlers);
    current = handlers;
    handlers.membership = ann.membership;
    emulator.clearRequests();
    return {
      url,
      emulator,
      app,
      handlers,
      ann,
      bea,
      post: async (route, init) => (await fetch(`${url}/hooks/${route}`, init)).status,
      close: () => closeAll(app, emulator),
    };
  } catch (error) {
    await emulator.close();
    throw error;
  }
}
