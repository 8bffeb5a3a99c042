import type { MedplumServerVersion } from './emulator.types';

/** What the installed definitions have, but the recorded server did not. */

const NEWER_TYPES = new Set([
  'Cron',
  'DicomInstance',
  'DicomSeries',
  'DicomStudy',
  'Enterprise',
  'Package',
  'PackageInstallation',
  'PackageRelease',
  'SmartHealthLink',
]);

const NEWER_PARAMETERS = new Set([
  'ActivityDefinition.code',
  'ClientApplication.identity-provider-issuer',
  'Communication.priority',
  'Communication.priority-order',
  'CoverageEligibilityRequest.coverage',
  'HealthcareService.offered-in',
  'Login.pre-authorized-code-hash',
  'Login.project',
  'Practitioner.qualification-davinci-pdex-where-valid',
  'PractitionerRole.network',
  'Project.features',
  'Project.link',
  'ProjectMembership.active',
  'ProjectMembership.admin',
  'Provenance.activity',
]);

/** Whether a release does not know a resource type yet. */
export function isNewerType(serverVersion: MedplumServerVersion, resourceType: string): boolean {
  return serverVersion === '5.0' && NEWER_TYPES.has(resourceType);
}

/** Whether a release does not know a search parameter yet. */
export function isNewerParameter(serverVersion: MedplumServerVersion, resourceType: string, code: string): boolean {
  return serverVersion === '5.0' && NEWER_PARAMETERS.has(`${resourceType}.${code}`);
}
