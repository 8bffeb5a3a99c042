export type { MedplumBinaries, MedplumDownload } from './client/binaries';
export type { MedplumBulk } from './client/bulk';
export type { DelegateOptions, RunDelegatedOptions } from './client/delegations';
export type { MedplumBots } from './client/bots';
export type { MedplumBreakGlassRequest } from './client/break-glass';
export type {
  MedplumAccessOptions,
  MedplumAdminOptions,
  MedplumBotOptions,
  MedplumDownloadOptions,
  MedplumFetchInit,
  MedplumGraphqlOptions,
  MedplumHistoryOptions,
  MedplumIterateOptions,
  MedplumPageOptions,
  MedplumPollOptions,
  MedplumSearchOptions,
  MedplumTransactionOptions,
} from './client/client.options';
export type { CoreClientOptions, MemoryStorage } from './client/core-client-options';
export type { AccessResult, MedplumMemberships } from './client/memberships';
export type { MedplumOperations } from './client/operations';
export type { MedplumBreakGlassAlert, MedplumBreakGlassOptions } from './calls/break-glass.options';
export type { MedplumBeforeRequest, MedplumPreparedRequest } from './calls/before-request';
export { enableFhirJson } from './enable-fhir-json';
export type { FhirJsonOptions } from './enable-fhir-json';
export type { MedplumAuditContext, MedplumAuditContextResolver } from './audit/audit-context';
export { AuditRecordRefusedError } from './audit/audit-record-refused.error';
export type { RequestEventEntries, RequestEventReturned } from './audit/bundle-summary';
export type { MedplumAuditForm } from './audit/sinks/audit-form';
export type {
  MedplumAuditOptions,
  MedplumAuditSink,
  MedplumAuditSinkOptions,
  MedplumAuditSinkStats,
} from './audit/audit-sink';
export { ClientProxyAuditSink } from './audit/sinks/client-proxy-audit.sink';
export type { ClientProxyAuditSinkOptions, MedplumAuditEmitter } from './audit/sinks/client-proxy-audit.sink';
export { FileAuditSink } from './audit/sinks/file-audit.sink';
export type { FileAuditChainOptions, FileAuditSinkOptions } from './audit/sinks/file-audit.sink';
export type { AuditChainHead, AuditChainKey } from './audit/sinks/hash-chain';
export { LoggerAuditSink } from './audit/sinks/logger-audit.sink';
export type { LoggerAuditSinkOptions } from './audit/sinks/logger-audit.sink';
export { MedplumAuditEventSink } from './audit/sinks/medplum-audit-event.sink';
export type { MedplumAuditEventSinkOptions, MedplumAuditTarget } from './audit/sinks/medplum-audit-event.sink';
export { verifyAuditFiles } from './audit/sinks/verify-audit-files';
export type { AuditVerification } from './audit/sinks/chain-check';
export { AuditSinkError } from './errors/audit-sink.error';
export type { AuditSinkErrorDetails } from './errors/audit-sink.error';
export { AUDIT_EVENT_TAG_SYSTEM, toFhirAuditEvent } from './audit/fhir-audit-event/fhir-audit-event';
export type { FhirAuditEventOptions } from './audit/fhir-audit-event/fhir-audit-event';
export { MedplumAudit } from './audit/medplum-audit';
export type { RequestEvent, RequestEventDelegation, RequestEventError, RequestOutcome } from './audit/request-event';
export type { DelegationKey, MedplumDelegationOptions } from './delegation/delegation.options';
export { MedplumBeforeRequestError } from './errors/before-request.error';
export { DelegationError } from './errors/delegation.error';
export type { DelegationErrorDetails, DelegationRefusal } from './errors/delegation.error';
export { MedplumGraphqlError } from './errors/graphql.error';
export type { GraphqlErrorEntry } from './errors/graphql.error';
export { MedplumOverloadError } from './errors/overload.error';
export { MedplumConfigError } from './errors/medplum-config.error';
export { isMedplumError, MedplumError } from './errors/medplum.error';
export type { MedplumEffect, MedplumErrorDetails, MedplumErrorRequest } from './errors/medplum.error';
export {
  OnBehalfOfReferenceError,
  OnBehalfOfRejectedError,
  OnBehalfOfRequiredError,
} from './errors/on-behalf-of.errors';
export {
  MedplumBadRequestError,
  MedplumConflictError,
  MedplumForbiddenError,
  MedplumGoneError,
  MedplumNotFoundError,
  MedplumNotModifiedError,
  MedplumPreconditionFailedError,
  MedplumProtocolError,
  MedplumRateLimitError,
  MedplumServerError,
  MedplumUnauthorizedError,
  UnknownEffectError,
} from './errors/response.errors';
export { MedplumTransactionError } from './errors/transaction.error';
export {
  MedplumAbortError,
  MedplumConnectionError,
  MedplumContentTooLargeError,
  MedplumTimeoutError,
  MedplumTlsError,
} from './errors/transport.errors';
export type { MedplumTimeoutPhase } from './errors/transport.errors';
export type { BinaryContent, UploadDescription } from './fhir/binaries';
export type { NewBot } from './fhir/bots';
export { bundleEntry, entryResults } from './fhir/bundles';
export type { EntryResult, RequestEntry } from './fhir/bundles';
export type { IfMatch } from './fhir/interactions';
export type { KnownElements } from './fhir/known-elements.types';
export type { ExportInput, ExportManifest } from './fhir/jobs';
export { accessEntry } from './fhir/membership-access';
export type { AccessParameterValue, AccessPolicyInput } from './fhir/membership-access';
export type { Invitation, MembershipQuery } from './fhir/memberships';
export type { OperationCall } from './fhir/operations';
export type { OperationInput, ParametersOf } from './fhir/parameters';
export type { EverythingInput } from './fhir/patient-operations';
export type { CloneProjectInput } from './fhir/project-clone';
export type { PatchOperation, ResourceArray, ResourceOf, Stored, WithId } from './fhir/resource.types';
export type { ExpandInput, LookupInput, TranslateInput, ValidateCodeInput } from './fhir/terminology';
export type { HistoryPage } from './fhir/versions';
export type { SplitBundle } from './fhir/search';
export type { SearchParameterNames } from './fhir/search-parameter-names';
export type {
  CommonSearchParameter,
  CustomSearchParameterNames,
  SearchFields,
  SearchParameterOf,
  SearchQuery,
} from './fhir/search-query';
export { and, dateRange, literal, quantity, referenceTo, SearchAnd, SearchTerm, token } from './fhir/search-values';
export type { DateBounds, SearchInput, SearchPrefix, SearchValue, TokenLike } from './fhir/search-values';
export type { ClientSecret } from './http/credentials';
export type { MedplumHeaders } from './calls/caller-headers';
export type { MedplumDispatcher, MedplumDispatcherRequest, MedplumDispatcherResponse } from './http/medplum-dispatcher';
export { ignoreRequestsTo } from './http/ignore-requests-to';
export type { ObservedRequest } from './http/ignore-requests-to';
export type { MedplumPoolOptions } from './http/pool';
export type { MedplumQuotaOptions } from './http/quota.options';
export type { MedplumQuotaRemaining } from './http/server-quota';
export type { RequestAttempt } from './shared/request-attempt';
export type { MedplumCallRetryOptions, MedplumRetryOptions } from './http/retry.options';
export type { MedplumExceptionAnswer } from './exceptions/exception-answer';
export { MedplumExceptionFilter } from './exceptions/medplum-exception.filter';
export { MedplumModule } from './medplum.module';
export type { MedplumModuleAsyncOptions, MedplumModuleExtras, MedplumModuleRootOptions } from './medplum.module';
export type { KnownOptions, MedplumModuleOptions, MedplumOptionsFactory } from './medplum.options';
export type { MedplumQuota } from './calls/medplum-quota';
export type { MedplumRequestOptions, MedplumUpdateOptions } from './calls/request.options';
export type { MembershipCheckOptions } from './calls/membership-check';
export { MedplumService } from './medplum.service';
export type { SearchResult } from './medplum.service';
export { getMedplumOptionsToken, getMedplumToken, InjectMedplum } from './medplum.tokens';
export { batchByIdentity } from './on-behalf-of/batch-by-identity';
export type { IdentityKey } from './on-behalf-of/batch-by-identity';
export { CurrentOnBehalfOf } from './on-behalf-of/current-on-behalf-of.decorator';
export { AsClientApplication, OnBehalfOf } from './on-behalf-of/on-behalf-of.decorator';
export type { AsClientApplicationOptions, OnBehalfOfDecoratorOptions } from './on-behalf-of/on-behalf-of.decorator';
export { documentOnBehalfOf } from './on-behalf-of/document-on-behalf-of';
export type { DocumentOnBehalfOfOptions } from './on-behalf-of/document-on-behalf-of';
export { MedplumRouteReport } from './on-behalf-of/medplum-route-report';
export type { MedplumRoute, MedplumRouteIdentity } from './on-behalf-of/medplum-route-report';
export { OnBehalfOfGuard } from './on-behalf-of/on-behalf-of.guard';
export { OnBehalfOfInterceptor } from './on-behalf-of/on-behalf-of.interceptor';
export type { OnBehalfOfInput, OnBehalfOfReference } from './on-behalf-of/on-behalf-of.reference';
export { fromUser } from './on-behalf-of/on-behalf-of.source';
export type { OnBehalfOfAnswer, OnBehalfOfResolver, OnBehalfOfSource } from './on-behalf-of/on-behalf-of.source';
export type { MedplumRouteKind } from './on-behalf-of/route-address';
export type { MedplumRoutesOptions } from './on-behalf-of/routes.options';
export { WithoutMedplum } from './on-behalf-of/without-medplum.decorator';
export { RunAsClientApplication, RunOnBehalfOf } from './run-on-behalf-of.decorator';
export type { MedplumStore } from './shared/medplum-store';
export { MemoryStore } from './shared/memory-store';
export type { ScopeOptions } from './on-behalf-of/purpose-of-use';
