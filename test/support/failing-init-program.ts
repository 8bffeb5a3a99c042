import 'reflect-metadata';
import { Injectable, type OnModuleInit } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { MedplumService } from '../../lib';
import { MedplumEmulator, MedplumTestingModule } from '../../lib/testing';

/** A test that starts an emulator, makes a call, and fails in `init`, so that it never gets to close anything. */
@Injectable()
class Failing implements OnModuleInit {
  constructor(
    private readonly medplum: MedplumService,
    private readonly emulator: MedplumEmulator,
  ) {}

  async onModuleInit(): Promise<void> {
    await this.medplum.asClientApplication(() => this.medplum.search('Patient'));
    await fetch(`${this.emulator.baseUrl}healthcheck`);
    throw new Error('init failed');
  }
}

async function main(): Promise<void> {
  const app = await Test.createTestingModule({
    imports: [MedplumTestingModule.forRoot()],
    providers: [Failing],
  }).compile();
  await app.init();
}

main().catch((error: unknown) => console.log(String(error)));
