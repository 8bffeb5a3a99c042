import { Controller, Get } from '@nestjs/common';
import type { Patient } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { PatientsService } from '../patients/patients.service';

/**
 * A mistake, made on purpose: `@OnBehalfOf()` is missing. The user is logged in, but the call to Medplum has no identity.
 * It would run with the rights of the client, which is a project admin. The library refuses it before anything is sent.
 * The browser gets 500, and the log names this handler and says how to fix it.
 */
@Controller('undecorated')
export class UndecoratedController {
  constructor(private readonly patients: PatientsService) {}

  @Get()
  list(): Promise<Patient[]> {
    return this.patients.list({ name: undefined, page: { _count: 20, _offset: 0 } });
  }
}
