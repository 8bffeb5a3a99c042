import { join, resolve } from 'node:path';
import * as root from 'nestjs-medplum';
import * as delegation from 'nestjs-medplum/delegation';
import * as fhirtypes from 'nestjs-medplum/fhirtypes';
import * as opentelemetry from 'nestjs-medplum/opentelemetry';
import * as redis from 'nestjs-medplum/redis';
import * as terminus from 'nestjs-medplum/terminus';
import * as testing from 'nestjs-medplum/testing';
import * as webhooks from 'nestjs-medplum/webhooks';
import { type PublicApi, readPublicApis } from './public-api';

const LIB = resolve(__dirname, '../../lib');
const ENTRIES = [
  'index.ts',
  'fhir/fhirtypes.ts',
  'testing/index.ts',
  'integrations/delegation/index.ts',
  'integrations/terminus/index.ts',
  'integrations/redis/index.ts',
  'integrations/opentelemetry/index.ts',
  'integrations/webhooks/index.ts',
];

let apis: ReadonlyMap<string, PublicApi>;

beforeAll(() => {
  const read = readPublicApis(ENTRIES.map((entry) => join(LIB, entry)));
  apis = new Map(ENTRIES.map((entry, i) => [entry, read[i] as PublicApi]));
}, 60_000);

describe('nestjs-medplum', () => {
  let api: PublicApi;

  beforeAll(() => (api = apis.get('index.ts') as PublicApi));

  it('exports these values', () => {
    expect(Object.keys(root).toSorted()).toEqual(api.values);
    expect(api.values).toEqual([
      'AUDIT_EVENT_TAG_SYSTEM',
      'AsClientApplication',
      'AuditRecordRefusedError',
      'AuditSinkError',
      'ClientProxyAuditSink',
      'CurrentOnBehalfOf',
      'DelegationError',
      'FileAuditSink',
      'InjectMedplum',
      'LoggerAuditSink',
      'MedplumAbortError',
      'MedplumAudit',
      'MedplumAuditEventSink',
      'MedplumBadRequestError',
      'MedplumBeforeRequestError',
      'MedplumConfigError',
      'MedplumConflictError',
      'MedplumConnectionError',
      'MedplumContentTooLargeError',
      'MedplumError',
      'MedplumExceptionFilter',
      'MedplumForbiddenError',
      'MedplumGoneError',
      'MedplumGraphqlError',
      'MedplumModule',
      'MedplumNotFoundError',
      'MedplumNotModifiedError',
      'MedplumOverloadError',
      'MedplumPreconditionFailedError',
      'MedplumProtocolError',
      'MedplumRateLimitError',
      'MedplumRouteReport',
      'MedplumServerError',
      'MedplumService',
      'MedplumTimeoutError',
      'MedplumTlsError',
      'MedplumTransactionError',
      'MedplumUnauthorizedError',
      'MemoryStore',
      'OnBehalfOf',
      'OnBehalfOfGuard',
      'OnBehalfOfInterceptor',
      'OnBehalfOfReferenceError',
      'OnBehalfOfRejectedError',
      'OnBehalfOfRequiredError',
      'RunAsClientApplication',
      'RunOnBehalfOf',
      'SearchAnd',
      'SearchTerm',
      'UnknownEffectError',
      'WithoutMedplum',
      'accessEntry',
      'and',
      'batchByIdentity',
      'bundleEntry',
      'dateRange',
      'documentOnBehalfOf',
      'enableFhirJson',
      'entryResults',
      'fromUser',
      'getMedplumOptionsToken',
      'getMedplumToken',
      'ignoreRequestsTo',
      'isMedplumError',
      'literal',
      'quantity',
      'referenceTo',
      'toFhirAuditEvent',
      'token',
      'verifyAuditFiles',
    ]);
  });

  it('exports these types', () => {
    expect(api.types).toEqual([
      'AccessParameterValue',
      'AccessPolicyInput',
      'AccessResult',
      'AsClientApplicationOptions',
      'AuditChainHead',
      'AuditChainKey',
      'AuditSinkErrorDetails',
      'AuditVerification',
      'BinaryContent',
      'ClientProxyAuditSinkOptions',
      'ClientSecret',
      'CloneProjectInput',
      'CommonSearchParameter',
      'CoreClientOptions',
      'CustomSearchParameterNames',
      'DateBounds',
      'DelegateOptions',
      'DelegationErrorDetails',
      'DelegationKey',
      'DelegationRefusal',
      'DocumentOnBehalfOfOptions',
      'EntryResult',
      'EverythingInput',
      'ExpandInput',
      'ExportInput',
      'ExportManifest',
      'FhirAuditEventOptions',
      'FhirJsonOptions',
      'FileAuditChainOptions',
      'FileAuditSinkOptions',
      'GraphqlErrorEntry',
      'HistoryPage',
      'IdentityKey',
      'IfMatch',
      'Invitation',
      'KnownElements',
      'KnownOptions',
      'LoggerAuditSinkOptions',
      'LookupInput',
      'MedplumAccessOptions',
      'MedplumAdminOptions',
      'MedplumAuditContext',
      'MedplumAuditContextResolver',
      'MedplumAuditEmitter',
      'MedplumAuditEventSinkOptions',
      'MedplumAuditForm',
      'MedplumAuditOptions',
      'MedplumAuditSink',
      'MedplumAuditSinkOptions',
      'MedplumAuditSinkStats',
      'MedplumAuditTarget',
      'MedplumBeforeRequest',
      'MedplumBinaries',
      'MedplumBotOptions',
      'MedplumBots',
      'MedplumBreakGlassAlert',
      'MedplumBreakGlassOptions',
      'MedplumBreakGlassRequest',
      'MedplumBulk',
      'MedplumCallRetryOptions',
      'MedplumDelegationOptions',
      'MedplumDispatcher',
      'MedplumDispatcherRequest',
      'MedplumDispatcherResponse',
      'MedplumDownload',
      'MedplumDownloadOptions',
      'MedplumEffect',
      'MedplumErrorDetails',
      'MedplumErrorRequest',
      'MedplumExceptionAnswer',
      'MedplumFetchInit',
      'MedplumGraphqlOptions',
      'MedplumHeaders',
      'MedplumHistoryOptions',
      'MedplumIterateOptions',
      'MedplumMemberships',
      'MedplumModuleAsyncOptions',
      'MedplumModuleExtras',
      'MedplumModuleOptions',
      'MedplumModuleRootOptions',
      'MedplumOperations',
      'MedplumOptionsFactory',
      'MedplumPageOptions',
      'MedplumPollOptions',
      'MedplumPoolOptions',
      'MedplumPreparedRequest',
      'MedplumQuota',
      'MedplumQuotaOptions',
      'MedplumQuotaRemaining',
      'MedplumRequestOptions',
      'MedplumRetryOptions',
      'MedplumRoute',
      'MedplumRouteIdentity',
      'MedplumRouteKind',
      'MedplumRoutesOptions',
      'MedplumSearchOptions',
      'MedplumStore',
      'MedplumTimeoutPhase',
      'MedplumTransactionOptions',
      'MedplumUpdateOptions',
      'MembershipCheckOptions',
      'MembershipQuery',
      'MemoryStorage',
      'NewBot',
      'ObservedRequest',
      'OnBehalfOfAnswer',
      'OnBehalfOfDecoratorOptions',
      'OnBehalfOfInput',
      'OnBehalfOfReference',
      'OnBehalfOfResolver',
      'OnBehalfOfSource',
      'OperationCall',
      'OperationInput',
      'ParametersOf',
      'PatchOperation',
      'RequestAttempt',
      'RequestEntry',
      'RequestEvent',
      'RequestEventDelegation',
      'RequestEventEntries',
      'RequestEventError',
      'RequestEventReturned',
      'RequestOutcome',
      'ResourceArray',
      'ResourceOf',
      'RunDelegatedOptions',
      'ScopeOptions',
      'SearchFields',
      'SearchInput',
      'SearchParameterNames',
      'SearchParameterOf',
      'SearchPrefix',
      'SearchQuery',
      'SearchResult',
      'SearchValue',
      'SplitBundle',
      'Stored',
      'TokenLike',
      'TranslateInput',
      'UploadDescription',
      'ValidateCodeInput',
      'WithId',
    ]);
  });

  it('documents every export and its members', () => {
    expect(api.undocumented).toEqual([]);
  });
});

describe('nestjs-medplum/fhirtypes', () => {
  it('exports the FHIR types, and nothing at run time', () => {
    const api = apis.get('fhir/fhirtypes.ts') as PublicApi;
    expect(Object.keys(fhirtypes)).toEqual([]);
    expect(api.values).toEqual([]);
    expect(api.types).toEqual(expect.arrayContaining(['Patient', 'ProjectMembership', 'Resource', 'ResourceType']));
  });
});

describe('nestjs-medplum/testing', () => {
  let api: PublicApi;

  beforeAll(() => (api = apis.get('testing/index.ts') as PublicApi));

  it('exports these values', () => {
    expect(Object.keys(testing).toSorted()).toEqual(api.values);
    expect(api.values).toEqual([
      'MedplumAuditRecorder',
      'MedplumEmulator',
      'MedplumTestingModule',
      'expectAllRequestsOnBehalfOf',
      'expectNoRequestAsClientApplication',
      'expectNoRequests',
      'signedWebhook',
    ]);
  });

  it('exports these types', () => {
    expect(api.types).toEqual([
      'ClientFixture',
      'ClientInput',
      'EmulatorAuthKind',
      'EmulatorFixtures',
      'EmulatorMember',
      'EmulatorRateLimits',
      'Fault',
      'FaultMatch',
      'InjectedFault',
      'MedplumEmulatorConnection',
      'MedplumEmulatorOptions',
      'MedplumEmulatorSnapshot',
      'MedplumServerVersion',
      'MedplumTestingModuleOptions',
      'MemberInput',
      'MembershipFixture',
      'PolicyInput',
      'ProjectFixture',
      'ProjectInput',
      'RecordedRequest',
      'RequestRecord',
      'ResourceFixture',
      'ResourceInput',
      'SeededClient',
      'SeededMember',
      'SeededProject',
      'SeededVariables',
      'SignedWebhook',
      'WebhookInput',
    ]);
  });

  it('documents every export and its members', () => {
    expect(api.undocumented).toEqual([]);
  });
});

describe('nestjs-medplum/delegation', () => {
  let api: PublicApi;

  beforeAll(() => (api = apis.get('integrations/delegation/index.ts') as PublicApi));

  it('exports these values', () => {
    expect(Object.keys(delegation).toSorted()).toEqual(api.values);
    expect(api.values).toEqual([
      'DELEGATION_HEADER',
      'RunDelegated',
      'delegatedClient',
      'delegatedQueue',
      'delegationHeaders',
      'fromDelegation',
      'runDelegatedJob',
    ]);
  });

  it('exports these types', () => {
    expect(api.types).toEqual([
      'BoundJobOptions',
      'DelegatedClient',
      'DelegatedJob',
      'DelegatedQueue',
      'DelegatedWork',
      'DelegationHeaderOptions',
      'DelegationHeaders',
      'FromDelegationOptions',
      'JobQueue',
      'MessageClient',
    ]);
  });

  it('documents every export and its members', () => {
    expect(api.undocumented).toEqual([]);
  });
});

describe('nestjs-medplum/redis', () => {
  it('exports these names', () => {
    const api = apis.get('integrations/redis/index.ts') as PublicApi;
    expect(Object.keys(redis).toSorted()).toEqual(api.values);
    expect(api.values).toEqual(['RedisStore']);
    expect(api.types).toEqual(['RedisStoreClient', 'RedisStoreOptions']);
  });
});

describe('nestjs-medplum/terminus', () => {
  let api: PublicApi;

  beforeAll(() => (api = apis.get('integrations/terminus/index.ts') as PublicApi));

  it('exports these values', () => {
    expect(Object.keys(terminus).toSorted()).toEqual(api.values);
    expect(api.values).toEqual(['MedplumHealthIndicator', 'MedplumHealthModule']);
  });

  it('exports these types', () => {
    expect(api.types).toEqual(['MedplumHealthCheckOptions', 'MedplumHealthModuleOptions']);
  });

  it('documents every export and its members', () => {
    expect(api.undocumented).toEqual([]);
  });
});

describe('nestjs-medplum/opentelemetry', () => {
  let api: PublicApi;

  beforeAll(() => (api = apis.get('integrations/opentelemetry/index.ts') as PublicApi));

  it('exports these values', () => {
    expect(Object.keys(opentelemetry).toSorted()).toEqual(api.values);
    expect(api.values).toEqual(['MedplumOpenTelemetryModule', 'ignoreRequestsTo']);
  });

  it('exports these types', () => {
    expect(api.types).toEqual(['MedplumOpenTelemetryModuleOptions']);
  });

  it('documents every export and its members', () => {
    expect(api.undocumented).toEqual([]);
  });
});

describe('nestjs-medplum/webhooks', () => {
  let api: PublicApi;

  beforeAll(() => (api = apis.get('integrations/webhooks/index.ts') as PublicApi));

  it('exports these values', () => {
    expect(Object.keys(webhooks).toSorted()).toEqual(api.values);
    expect(api.values).toEqual(['MedplumWebhook', 'WebhookEvent']);
  });

  it('exports these types', () => {
    expect(api.types).toEqual(['MedplumWebhookEvent', 'MedplumWebhookOptions', 'MedplumWebhookSecret']);
  });

  it('documents every export and its members', () => {
    expect(api.undocumented).toEqual([]);
  });
});
