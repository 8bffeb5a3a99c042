import { Controller, Get } from '@nestjs/common';
import type { Patient } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { PatientsService } from '../patients/patients.service';

/**
 * A mistake, kept on purpose: somebody forgot `@OnBehalfOf()`. The user is logged in, but the call to Medplum names
 * nobody, and would run with the rights of the client, a project admin. The library refuses it before anything is sent:
 * the browser gets 500, the log names this handler and how to mend it.
 */
@Controller('undecorated')
export class UndecoratedController {
  constructor(private readonly patients: PatientsService) {}

  @Get()
  list(): Promise<Patient[]> {
    return this.patients.list({ name: undefined, page: { _count: 20, _offset: 0 } });
  }
}
