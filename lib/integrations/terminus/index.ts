export { MedplumHealthIndicator } from './medplum-health.indicator';
export type { MedplumHealthCheckOptions } from './medplum-health.indicator';
export { MedplumHealthModule } from './medplum-health.module';
export type { MedplumHealthModuleOptions } from './medplum-health.options';
