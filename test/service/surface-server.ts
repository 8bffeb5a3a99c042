import type { WireAnswer, WireRequest } from '../support/wire-server';

const PATIENT = { resourceType: 'Patient', id: 'p1', meta: { versionId: 'v1' } };

/** A searchset that has a second page. */
function page({ path }: WireRequest, baseUrl: string): WireAnswer {
  const next = { relation: 'next', url: `${baseUrl}fhir/R4/Patient?_count=1000&_offset=1` };
  return {
    body: {
      resourceType: 'Bundle',
      type: 'searchset',
      entry: [{ resource: PATIENT }],
      link: path.includes('_offset') ? [] : [next],
    },
  };
}

const jobs = { resourceType: 'AsyncJob', id: 'j1', status: 'completed', request: '', requestTime: '' };

/** Just enough of a server for each method to succeed. */
export function surfaceHandler(request: WireRequest, baseUrl: string): WireAnswer {
  const { method, path } = request;
  if (method === 'POST' && path === '/fhir/R4') {
    return { body: { resourceType: 'Bundle', type: 'batch-response', entry: [{ response: { status: '200' } }] } };
  }
  if (path.endsWith('/invite')) {
    return { body: { resourceType: 'ProjectMembership', id: 'm1' } };
  }
  if (/\/_history\/[^/]+$/.test(path)) {
    return { body: PATIENT };
  }
  if (path.includes('/ProjectMembership/')) {
    const access = [{ policy: { reference: 'AccessPolicy/a1' } }];
    const accessPolicy = { reference: 'AccessPolicy/a2' };
    return { body: { resourceType: 'ProjectMembership', id: 'm1', meta: { versionId: 'v1' }, access, accessPolicy } };
  }
  if (path.endsWith('$export')) {
    return { status: 202, headers: { 'content-location': `${baseUrl}fhir/R4/bulkdata/export/j1` }, body: {} };
  }
  if (path.includes('/bulkdata/')) {
    return { body: { output: [], error: [] } };
  }
  if (path.endsWith('/$clone')) {
    return { body: { resourceType: 'Project', id: 'p2' } };
  }
  if (path.includes('/job/')) {
    return { body: jobs };
  }
  if (path.includes('/DocumentReference/')) {
    const content = [{ attachment: { url: 'Binary/b1' } }];
    return { body: { resourceType: 'DocumentReference', id: 'd1', status: 'current', content } };
  }
  const [, created] = /^\/fhir\/R4\/(Binary|DocumentReference)$/.exec(path) ?? [];
  if (created !== undefined && method === 'POST') {
    return { body: { resourceType: created, id: 'b1', url: 'Binary/b1' } };
  }
  if (/^\/admin\/projects\/[^/]+\/bot$/.test(path)) {
    return { body: { resourceType: 'Bot', id: 'b1' } };
  }
  if (path.includes('/Binary/')) {
    return { headers: { 'content-type': 'text/plain' }, body: 'content' };
  }
  if (path.endsWith('/$graphql')) {
    return { body: { data: { Patient: { id: 'p1' } } } };
  }
  if (/\/_history(\?|$)/.test(path) || /^\/fhir\/R4(\/[A-Z]\w+)?(\?|$)/.test(path)) {
    return method === 'GET' ? page(request, baseUrl) : { body: PATIENT };
  }
  return { body: PATIENT };
}
