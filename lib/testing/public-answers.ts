import type { Answer, Exchange } from './exchange';
import { jsonAnswer } from './exchange';
import { core } from './medplum-peers';

/** What everybody may read without credentials; `undefined` for other paths. */
export function publicAnswer({ method, state: { baseUrl } }: Exchange, path: string): Answer | undefined {
  if (method !== 'GET') {
    return undefined;
  }
  switch (path) {
    case '/fhir/R4/metadata':
      return jsonAnswer(200, capabilityStatement(baseUrl));
    case '/fhir/R4/$versions':
    case '/fhir/R4/%24versions':
      return jsonAnswer(200, { versions: ['4.0'], default: '4.0' });
    case '/fhir/R4/.well-known/smart-configuration':
    case '/.well-known/smart-configuration':
      return jsonAnswer(200, smartConfiguration(baseUrl));
    case '/fhir/R4/.well-known/smart-styles.json':
    case '/.well-known/smart-styles.json':
      return jsonAnswer(200, {});
    case '/openapi.json':
      return jsonAnswer(200, openApi(baseUrl));
    default:
      return undefined;
  }
}

function capabilityStatement(baseUrl: string): object {
  return {
    resourceType: 'CapabilityStatement',
    status: 'active',
    kind: 'instance',
    fhirVersion: '4.0.1',
    format: ['json'],
    implementation: { description: 'Embedded Medplum emulator', url: `${baseUrl}fhir/R4` },
    rest: [{ mode: 'server' }],
  };
}

/** What a SMART app looks for. Only the grant of client credentials works here. */
function smartConfiguration(baseUrl: string): object {
  return {
    issuer: baseUrl,
    jwks_uri: `${baseUrl}.well-known/jwks.json`,
    authorization_endpoint: `${baseUrl}oauth2/authorize`,
    token_endpoint: `${baseUrl}oauth2/token`,
    introspection_endpoint: `${baseUrl}oauth2/introspect`,
    grant_types_supported: ['client_credentials'],
    token_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post'],
    scopes_supported: ['openid'],
    response_types_supported: ['code'],
    capabilities: ['client-confidential-symmetric'],
    code_challenge_methods_supported: ['S256'],
  };
}

/** The routes, without schemas. */
function openApi(baseUrl: string): object {
  const operation = { responses: { 200: { description: 'OK' } } };
  return {
    openapi: '3.0.0',
    info: { title: 'Embedded Medplum emulator', version: core.MEDPLUM_VERSION },
    servers: [{ url: baseUrl }],
    paths: {
      '/fhir/R4/{resourceType}': { get: operation, post: operation },
      '/fhir/R4/{resourceType}/{id}': { get: operation, put: operation, patch: operation, delete: operation },
      '/fhir/R4/{resourceType}/{id}/_history': { get: operation },
    },
  };
}
