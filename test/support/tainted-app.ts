import type { ModuleMetadata } from '@nestjs/common';
import type { MedplumModuleOptions } from 'nestjs-medplum';
import { surfaceHandler } from '../service/surface-server';
import { type MedplumApp, startMedplumApp } from './medplum-app';
import { PLANTED } from './planted';
import { outcome, type WireAnswer, type WireHandler, type WireRequest } from './wire-server';

const BASE_PATH = `projects/${PLANTED.project}/`;

/** Options of a call with an identity and a header. */
export const FOR_SOMEBODY = { onBehalfOf: PLANTED.membership, headers: { 'x-planted': PLANTED.header } } as const;

/** Response headers that must not leak. The request id is invalid because it contains blanks. */
const HEADERS = {
  'x-request-id': `${PLANTED.server} of the server`,
  location: `https://${PLANTED.server}.example/`,
  'set-cookie': `session=${PLANTED.server}`,
  'www-authenticate': `Basic realm="${PLANTED.server}"`,
};

/** Responds with an error, in which every text is planted. */
export const refusal =
  (status: number, tracing = true): WireHandler =>
  () => ({
    status,
    headers: HEADERS,
    body: {
      ...outcome(PLANTED.server, PLANTED.server, PLANTED.server, tracing),
      text: { div: PLANTED.server },
      contained: [{ resourceType: 'Patient', id: PLANTED.record }],
    },
  });

/** Responds with an HTML page. */
export const page = (status: number): WireHandler => {
  const headers = { ...HEADERS, 'content-type': 'text/html' };
  return () => ({ status, headers, body: `<html>${PLANTED.server} ${PLANTED.record}</html>` });
};

/** Responds so that every method of the service succeeds. */
export function obligingly({ path, ...request }: WireRequest, { wire }: Pick<MedplumApp, 'wire'>): WireAnswer {
  if (path.endsWith('/oauth2/token')) {
    return {
      body: { access_token: PLANTED.token, token_type: 'Bearer', expires_in: 3_600, scope: PLANTED.tokenEndpoint },
    };
  }
  const below = path.replace(BASE_PATH, '');
  const answer = surfaceHandler({ ...request, path: below }, wire.baseUrl + BASE_PATH);
  if (below.includes(`/ProjectMembership/${PLANTED.membership}`)) {
    return { body: { ...(answer.body as object), id: PLANTED.membership } };
  }
  const body = answer.body as { resourceType?: string } | string | undefined;
  const [, id] = /^\/fhir\/R4\/[A-Z]\w+\/([^/?$]+)(?:\/_history\/[^/]+)?$/.exec(below) ?? [];
  const isResource = typeof body === 'object' && body.resourceType !== undefined && body.resourceType !== 'Bundle';
  // The record that was asked for.
  return isResource && id !== undefined ? { ...answer, body: { ...body, id } } : answer;
}

/** Starts an app whose client, users and records contain planted values. The caller captures the log. */
export async function startTaintedApp(
  options: Partial<MedplumModuleOptions> = {},
  handler?: WireHandler,
  more: ModuleMetadata = {},
): Promise<MedplumApp> {
  const { clientId, clientSecret, subject, actor, address } = PLANTED;
  const app = await startMedplumApp(
    {
      clientId,
      clientSecret,
      retry: { maxRetries: 0 },
      auditContext: () => ({ subject, actor, address, purposeOfUse: 'TREAT' }),
      ...options,
    },
    { ...more, basePath: BASE_PATH },
  );
  app.wire.handler = handler ?? ((request) => obligingly(request, app));
  return app;
}
