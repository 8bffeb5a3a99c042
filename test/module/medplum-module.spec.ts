import { Controller, Get, Injectable, Logger, Module } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import {
  fromUser,
  getMedplumOptionsToken,
  getMedplumToken,
  InjectMedplum,
  MedplumAudit,
  MedplumConfigError,
  MedplumModule,
  type MedplumModuleOptions,
  type MedplumOptionsFactory,
  MedplumService,
  OnBehalfOf,
} from 'nestjs-medplum';
import { WireServer } from '../support/wire-server';

let wire: WireServer;
const opened: { close(): Promise<unknown> }[] = [];

beforeEach(async () => {
  wire = await WireServer.start();
});

afterEach(async () => {
  // An app that failed to start fails to close in the same way.
  await Promise.allSettled(opened.splice(0).map((app) => app.close()));
  await wire.close();
});

async function start(metadata: Parameters<typeof Test.createTestingModule>[0]) {
  const module = await Test.createTestingModule(metadata).compile();
  opened.push(module);
  return module.init();
}

const read = (medplum: MedplumService) => medplum.readResource('Patient', '1', { onBehalfOf: 'a' });

@Injectable()
class Settings {
  get options(): MedplumModuleOptions {
    return wire.options();
  }
}

@Module({ providers: [Settings], exports: [Settings] })
class SettingsModule {}

@Injectable()
class OptionsFactory implements MedplumOptionsFactory {
  constructor(private readonly settings: Settings) {}

  async createMedplumOptions(): Promise<MedplumModuleOptions> {
    return this.settings.options;
  }
}

@Module({ imports: [SettingsModule], providers: [OptionsFactory], exports: [OptionsFactory] })
class OptionsFactoryModule {}

describe('MedplumModule.forRootAsync()', () => {
  it.each([
    [
      'useFactory',
      () => ({
        imports: [SettingsModule],
        inject: [Settings],
        useFactory: async (settings: Settings) => settings.options,
      }),
    ],
    [
      'useFactory with extraProviders',
      () => ({ extraProviders: [Settings], inject: [Settings], useFactory: (settings: Settings) => settings.options }),
    ],
    ['useClass', () => ({ imports: [SettingsModule], useClass: OptionsFactory })],
    ['useExisting', () => ({ imports: [OptionsFactoryModule], useExisting: OptionsFactory })],
  ])('makes options by %s', async (_form, options) => {
    const module = await start({ imports: [MedplumModule.forRootAsync(options())] });
    await read(module.get(MedplumService));
    expect(wire.identities).toEqual(['ProjectMembership/a']);
  });

  it('carries a name and isGlobal beside the factory', async () => {
    const module = await start({
      imports: [
        MedplumModule.forRootAsync({
          name: 'lab',
          isGlobal: false,
          useFactory: (): MedplumModuleOptions => wire.options(),
        }),
      ],
    });
    await read(module.get(getMedplumToken('lab')));
    expect(() => module.get(MedplumService)).toThrow(/MedplumService/);
    expect(wire.requests).toHaveLength(1);
  });

  it.each([
    ['nothing', {}],
    ['two ways', { useFactory: (): MedplumModuleOptions => wire.options(), useClass: OptionsFactory }],
  ])('refuses %s to make options', (_what, options) => {
    expect(() => MedplumModule.forRootAsync(options)).toThrow(MedplumConfigError);
  });

  it.each([
    ['clientSecrt', /clientSecrt is not an option\. Did you mean clientSecret\?/],
    ['membershipchek', /membershipchek is not an option\. Did you mean membershipCheck\?/],
    ['isGlobal', /isGlobal is not an option that a factory can return\. Put it beside the factory/],
    ['fhirVersion', /fhirVersion is not an option \(known: baseUrl, /],
  ])('says what is wrong with the option %s of a factory', async (key, problem) => {
    const useFactory = (): MedplumModuleOptions => ({ ...wire.options(), [key]: true });
    await expect(start({ imports: [MedplumModule.forRootAsync({ useFactory })] })).rejects.toThrow(problem);
  });

  it('says which options a factory got wrong', async () => {
    const starting = start({
      imports: [
        MedplumModule.forRootAsync({ useFactory: () => ({ clientId: '' }) as unknown as MedplumModuleOptions }),
      ],
    });
    await expect(starting).rejects.toThrow(/clientId must be[^]*clientSecret is missing/);
  });
});

describe('Several clients', () => {
  @Injectable()
  class Reports {
    constructor(
      readonly clinic: MedplumService,
      @InjectMedplum('lab') readonly lab: MedplumService,
    ) {}
  }

  it('live side by side, each with its own scope, and one audit knows them by name', async () => {
    const module = await start({
      imports: [
        MedplumModule.forRoot(wire.options()),
        MedplumModule.forRoot(wire.options({ name: 'lab', clientId: 'client-2' })),
      ],
      providers: [Reports],
    });
    const clients: string[] = [];
    module.get(MedplumAudit).events$.subscribe((event) => clients.push(event.client));
    const { clinic, lab } = module.get(Reports);
    await clinic.onBehalfOf('a', async () => {
      expect(lab.currentOnBehalfOf).toBeUndefined();
      await lab.onBehalfOf('b', () =>
        Promise.all([clinic.readResource('Patient', '1'), lab.readResource('Patient', '2')]),
      );
    });
    expect(wire.requests.map(({ path, onBehalfOf }) => `${path} ${onBehalfOf}`).toSorted()).toEqual([
      '/fhir/R4/Patient/1 ProjectMembership/a',
      '/fhir/R4/Patient/2 ProjectMembership/b',
    ]);
    expect(new Set(wire.requests.map((request) => request.headers.authorization)).size).toBe(2);
    expect(clients.toSorted()).toEqual(['default', 'lab']);
  });

  it.each([
    ['a second one without a name', undefined, /two Medplum clients without a name/],
    ['a second one of the same name', 'lab', /two Medplum clients with the name "lab"/],
  ])('refuse %s', async (_what, name, message) => {
    const more = name === undefined ? {} : { name };
    const imports = [MedplumModule.forRoot(wire.options(more)), MedplumModule.forRoot(wire.options(more))];
    await expect(start({ imports })).rejects.toThrow(message);
  });

  it.each(['', ' ', 'default'])('refuse the name %j', (name) => {
    expect(() => MedplumModule.forRoot(wire.options({ name }))).toThrow(MedplumConfigError);
  });
});

describe('isGlobal', () => {
  @Module({
    providers: [{ provide: 'uses', inject: [MedplumService], useFactory: (medplum: MedplumService) => medplum }],
  })
  class FeatureModule {}

  it('is on by default, and false keeps the client to those who import it', async () => {
    const module = await start({ imports: [MedplumModule.forRoot(wire.options()), FeatureModule] });
    expect(module.get('uses', { strict: false })).toBe(module.get(MedplumService));
    await expect(
      start({ imports: [MedplumModule.forRoot(wire.options({ isGlobal: false })), FeatureModule] }),
    ).rejects.toThrow(/MedplumService/);
  });
});

describe('Overriding', () => {
  it('takes other options for a test', async () => {
    const module = await Test.createTestingModule({
      imports: [
        MedplumModule.forRootAsync({
          useFactory: () => {
            throw new Error('not configured here');
          },
        }),
      ],
    })
      .overrideProvider(getMedplumOptionsToken())
      .useValue(wire.options())
      .compile();
    opened.push(module);
    await read(module.get(MedplumService));
    expect(wire.requests).toHaveLength(1);
  });
});

const controllerWith = (decorator: ReturnType<typeof OnBehalfOf>) => {
  @Controller()
  @decorator
  class PlannedController {
    @Get()
    handle() {
      return '';
    }
  }
  return PlannedController;
};

describe('Start-up', () => {
  it.each([
    ['a bare @OnBehalfOf() without resolveOnBehalfOf', OnBehalfOf(), /resolveOnBehalfOf/],
    ['a path instead of a reference', OnBehalfOf('user.membership' as never), /full reference/],
    ['a bare id', OnBehalfOf('abc' as never), /full reference/],
    ['the client itself', OnBehalfOf('ClientApplication/client-1'), /asClientApplication/],
    ['a client that is not there', OnBehalfOf(fromUser('membership'), { client: 'lab' }), /"lab"/],
  ])('refuses %s', async (_what, decorator, message) => {
    const starting = start({
      imports: [MedplumModule.forRoot(wire.options())],
      controllers: [controllerWith(decorator)],
    });
    await expect(starting).rejects.toThrow(message);
    await expect(starting).rejects.toThrow(/PlannedController/);
  });

  it('takes a bare @OnBehalfOf() with resolveOnBehalfOf', async () => {
    const starting = start({
      imports: [MedplumModule.forRoot(wire.options({ resolveOnBehalfOf: fromUser('membership') }))],
      controllers: [controllerWith(OnBehalfOf())],
    });
    await expect(starting).resolves.toBeDefined();
  });

  it('warns when handlers are decorated for a client with a default', async () => {
    const warn = jest.spyOn(Logger.prototype, 'warn').mockImplementation();
    await start({
      imports: [MedplumModule.forRoot(wire.options({ defaultOnBehalfOf: 'a' }))],
      controllers: [controllerWith(OnBehalfOf(fromUser('membership')))],
    });
    expect(warn.mock.calls.join()).toContain('defaultOnBehalfOf');
    warn.mockRestore();
  });
});

describe('Shutdown', () => {
  it('lets calls in flight finish and closes the pool; later calls fail without being sent', async () => {
    const module = await start({ imports: [MedplumModule.forRoot(wire.options())] });
    const medplum = module.get(MedplumService);
    let answer: (() => void) | undefined;
    const arrived = new Promise<void>((resolve) => {
      wire.handler = async () => {
        resolve();
        await new Promise<void>((release) => (answer = release));
        return { body: { resourceType: 'Patient', id: '1' } };
      };
    });
    const reading = read(medplum);
    await arrived;
    const closing = module.close();
    await new Promise((resolve) => setImmediate(resolve));
    answer?.();
    await expect(reading).resolves.toMatchObject({ id: '1' });
    await closing;
    await expect(read(medplum)).rejects.toMatchObject({ code: 'MEDPLUM_CONNECTION', effect: 'none' });
    expect(wire.requests).toHaveLength(1);
  });
});
