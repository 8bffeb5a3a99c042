import { type ConfigType, registerAs } from '@nestjs/config';
import { readClinicSettings } from './clinic.settings';

/** The settings as a provider: `@Inject(clinicConfig.KEY) settings: ClinicConfig`. */
export const clinicConfig = registerAs('clinic', () => readClinicSettings(process.env));

export type ClinicConfig = ConfigType<typeof clinicConfig>;
