import type { ExecutionContext } from '@nestjs/common';
import type { MedplumAuditContextResolver } from '../audit/audit-context';
import type { MedplumAuditOptions } from '../audit/audit-sink';
import type { BaseUrl } from '../shared/base-url';
import type { ClientSecret } from '../http/credentials';
import type { MedplumDispatcher } from '../http/medplum-dispatcher';
import type { MedplumPoolOptions } from '../http/pool';
import type { MedplumQuotaOptions } from '../http/quota.options';
import type { MedplumRetryOptions } from '../http/retry.options';
import type { LateCalls } from '../on-behalf-of/identity-resolver';
import type { OnBehalfOfReference } from '../on-behalf-of/on-behalf-of.reference';
import type { OnBehalfOfSource } from '../on-behalf-of/on-behalf-of.source';
import type { DelegationSettings } from '../delegation/delegation-settings';
import type { MedplumStore } from '../shared/medplum-store';
import type { MedplumBeforeRequest } from './before-request';
import type { MedplumBreakGlassOptions } from './break-glass.options';
import type { MembershipCheckOptions } from './membership-check';

/** @internal The options of a client after validation, with their defaults. The secret is not among them. */
export interface ClientSettings {
  readonly baseUrl: BaseUrl;
  readonly clientId: string;
  readonly auth: 'basic' | 'client-credentials';
  readonly requireOnBehalfOf: boolean;
  readonly allowEmptyClear: boolean;
  readonly defaultOnBehalfOf: OnBehalfOfReference | undefined;
  readonly lateCalls: LateCalls;
  readonly resolveOnBehalfOf: OnBehalfOfSource | undefined;
  readonly isAuthenticated: (context: ExecutionContext) => boolean;
  readonly reauthorizeEvery: number;
  readonly extended: boolean;
  readonly beforeRequest: MedplumBeforeRequest | undefined;
  readonly abortOnDisconnect: boolean;
  readonly compression: boolean;
  readonly batchReads: boolean;
  readonly logTag: string | undefined;
  readonly debugErrors: boolean;
  readonly timeout: number;
  readonly connectTimeout: number;
  readonly headersTimeout: number;
  readonly bodyTimeout: number;
  readonly shutdownTimeout: number;
  readonly maxResponseBytes: number;
  readonly retry: Required<MedplumRetryOptions>;
  readonly pool: Required<MedplumPoolOptions>;
  readonly dispatcher: MedplumDispatcher | undefined;
  readonly membershipCheck: Required<MembershipCheckOptions> | undefined;
  readonly storageOrigins: readonly string[];
  readonly audit: MedplumAuditOptions;
  readonly auditContext: MedplumAuditContextResolver | undefined;
  readonly breakGlass: (MedplumBreakGlassOptions & { readonly maxDuration: number }) | undefined;
  readonly quota: Required<MedplumQuotaOptions> | undefined;
  readonly store: MedplumStore;
  readonly delegation: DelegationSettings | undefined;
}

/** @internal The settings with the secret, as the module hands them over once. Only the credentials keep the secret. */
export interface ClientSettingsWithSecret extends ClientSettings {
  readonly clientSecret: ClientSecret;
}
