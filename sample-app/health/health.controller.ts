import { Controller, Get } from '@nestjs/common';
import { HealthCheck, type HealthCheckResult, HealthCheckService } from '@nestjs/terminus';
import { MedplumHealthIndicator } from 'nestjs-medplum/terminus';
import { Public } from '../auth/public.decorator';

@Controller('health')
export class HealthController {
  constructor(
    private readonly health: HealthCheckService,
    private readonly medplum: MedplumHealthIndicator,
  ) {}

  /** Load balancers have no login, so this is public. It says up or down and nothing else. */
  @Get()
  @Public()
  @HealthCheck()
  check(): Promise<HealthCheckResult> {
    return this.health.check([() => this.medplum.isHealthy('medplum')]);
  }
}
