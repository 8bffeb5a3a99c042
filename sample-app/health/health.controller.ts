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

  /** For load balancers, which have no login: it says up or down and nothing else. */
  @Get()
  @Public()
  @HealthCheck()
  check(): Promise<HealthCheckResult> {
    return this.health.check([() => this.medplum.isHealthy('medplum')]);
  }
}
