import { Controller, Get, Injectable, Param } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { CurrentOnBehalfOf, fromUser, MedplumModule, MedplumService, OnBehalfOf, RunOnBehalfOf } from 'nestjs-medplum';
import { listen, PLATFORMS } from '../support/platforms';
import { WireServer } from '../support/wire-server';

@Controller('patients')
@OnBehalfOf(fromUser('membership'))
class PatientsController {
  constructor(private readonly medplum: MedplumService) {}

  @Get(':id')
  read(@Param('id') id: string, @CurrentOnBehalfOf() _who?: string) {
    return this.medplum.readResource('Patient', id);
  }
}

@Controller('fixed')
@OnBehalfOf('ProjectMembership/a')
class FixedController {
  constructor(private readonly medplum: MedplumService) {}

  @Get(':id')
  async read(@Param('id') id: string, @CurrentOnBehalfOf() who: string) {
    return { who, patient: await this.medplum.readResource('Patient', id) };
  }
}

@Injectable()
class ReminderJob {
  constructor(private readonly medplum: MedplumService) {}

  @RunOnBehalfOf((membership: string) => membership)
  run(_membership: string) {
    return this.medplum.readResource('Patient', '1');
  }
}

const patient = { resourceType: 'Patient', id: '1' };

describe("An app's own unit tests", () => {
  it('need nothing but a mocked MedplumService for a decorated controller', async () => {
    const readResource = jest.fn().mockResolvedValue(patient);
    const module = await Test.createTestingModule({
      controllers: [PatientsController],
      providers: [{ provide: MedplumService, useValue: { readResource } }],
    }).compile();
    expect(await module.get(PatientsController).read('1')).toEqual(patient);
    expect(readResource).toHaveBeenCalledWith('Patient', '1');
    await module.close();
  });

  it('run a @RunOnBehalfOf() method on a mock that has onBehalfOf()', async () => {
    const medplum = {
      readResource: async () => patient,
      onBehalfOf: jest.fn((_who: string, fn: () => unknown) => fn()),
    };
    const module = await Test.createTestingModule({
      providers: [ReminderJob, { provide: MedplumService, useValue: medplum }],
    }).compile();
    expect(await module.get(ReminderJob).run('a')).toEqual(patient);
    expect(medplum.onBehalfOf).toHaveBeenCalledWith('a', expect.any(Function));
    await module.close();
  });

  it.each(PLATFORMS)('override MedplumService over HTTP on %s', async (platform) => {
    const wire = await WireServer.start();
    const module = await Test.createTestingModule({
      imports: [MedplumModule.forRoot(wire.options())],
      controllers: [FixedController],
    })
      .overrideProvider(MedplumService)
      .useValue({ readResource: async () => patient })
      .compile();
    const { app, url } = await listen(module, platform);
    const response = await fetch(`${url}/fixed/1`);
    expect(await response.json()).toEqual({ who: 'ProjectMembership/a', patient });
    expect(wire.requests).toEqual([]);
    await app.close();
    await wire.close();
  });
});
