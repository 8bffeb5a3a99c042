import type { WireAnswer, WireRequest } from '../support/wire-server';

const PATIENT = { resourceType: 'Patient', id: 'p1', meta: { versionId: 'v1' } };

/** A searchset with a second page. */
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

/** Just enough of a server for each method to come to its end. */
export function surfaceHandler(request: WireRequest, baseUrl: string): WireAnswer {
  const { method, path } = request;
  if (method === 'POST' && path === '/fhir/R4') {
    return { body: { resourceType: 'Bundle', type: 'batch-response', entry: [{ response: { status: '200' } }] } };
  }
  if (path.endsWith('/$graphql')) {
    return { body: { data: { Patient: { id: 'p1' } } } };
  }
  if (path.includes('/_history') || /^\/fhir\/R4(\/Patient)?(\?|$)/.test(path)) {
    return method === 'GET' ? page(request, baseUrl) : { body: PATIENT };
  }
  return { body: PATIENT };
}
