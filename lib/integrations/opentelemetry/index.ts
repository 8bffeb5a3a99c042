export { ignoreRequestsTo } from '../../http/ignore-requests-to';
export { MedplumOpenTelemetryModule } from './medplum-open-telemetry.module';
export type { MedplumOpenTelemetryModuleOptions } from './medplum-open-telemetry.module';
