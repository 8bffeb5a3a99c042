import type { ModuleMetadata } from '@nestjs/common';
import type { MedplumModuleOptions } from 'nestjs-medplum';
import { surfaceHandler } from '../service/surface-server';
import { type MedplumApp, startMedplumApp } from './medplum-app';
import { PLANTED } from './planted';
import { outcome, type WireAnswer, type WireHandler, type WireRequest } from './wire-server';

const BASE_PATH = `projects/${PLANTED.project}/`;

/** Options of a call that name somebody, and carry a header of the caller's. */
export const FOR_SOMEBODY = { onBehalfOf: PLANTED.membership, headers: { 'x-planted': PLANTED.header } } as const;

/** Headers of the server that may not get out; the id of the request is none, because it has blanks in it. */
const HEADERS = {
  'x-request-id': `${PLANTED.server} of the server`,
  location: `https://${PLANTED.server}.example/`,
  'set-cookie': `session=${PLANTED.server}`,
  'www-authenticate': `Basic realm="${PLANTED.server}"`,
};

/** A refusal whose every text is the server's. */
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

/** An answer that is no FHIR at all. */
export const page = (status: number): WireHandler => {
  const headers = { ...HEADERS, 'content-type': 'text/html' };
  return () => ({ status, headers, body: `<html>${PLANTED.server} ${PLANTED.record}</html>` });
};

/** A server on which every method of the service succeeds. */
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
  return answer;
}

/** An app whose client, users and records are full of what must not get out. What it logs is the caller's to capture. */
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
