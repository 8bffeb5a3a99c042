import { Controller, Get } from '@nestjs/common';
import { AsClientApplication, MedplumService } from 'nestjs-medplum';

/** How many records there are in all organisations. */
export interface ClinicStatus {
  readonly organizations: number;
  readonly practitioners: number;
  readonly patients: number;
}

@Controller('status')
export class StatusController {
  constructor(private readonly medplum: MedplumService) {}

  /** No user's rights reach that far, so the client itself makes these calls. It says so, and it reads only numbers. */
  @Get()
  @AsClientApplication({ reason: 'counts across all organisations, no records' })
  async status(): Promise<ClinicStatus> {
    const [organizations, practitioners, patients] = await Promise.all([
      this.#count('Organization'),
      this.#count('Practitioner'),
      this.#count('Patient'),
    ]);
    return { organizations, practitioners, patients };
  }

  async #count(resourceType: 'Organization' | 'Practitioner' | 'Patient'): Promise<number> {
    const { total } = await this.medplum.search(resourceType, { _summary: 'count' });
    return total ?? 0;
  }
}
