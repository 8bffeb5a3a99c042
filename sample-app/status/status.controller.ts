import { Controller, Get } from '@nestjs/common';
import { AsClientApplication, MedplumService } from 'nestjs-medplum';

/** How many records there are, over all organisations. */
export interface ClinicStatus {
  readonly organizations: number;
  readonly practitioners: number;
  readonly patients: number;
}

@Controller('status')
export class StatusController {
  constructor(private readonly medplum: MedplumService) {}

  /** Nobody's own rights reach that far, so these calls are made as the client itself: said aloud, for numbers only. */
  @Get()
  @AsClientApplication({ reason: 'numbers over all organisations, no records' })
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
