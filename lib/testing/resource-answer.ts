import type { Resource } from './emulator.types';
import { FHIR_JSON, type Answer, type Exchange } from './exchange';
import type { StorageUrls } from './storage-urls';

/** Responds with a resource and the headers of its version, or with 304 if the caller has that version already. */
export function resourceAnswer(
  exchange: Exchange,
  storage: StorageUrls,
  status: number,
  resource: Resource,
  contentType = FHIR_JSON,
): Answer {
  const { state, method } = exchange;
  const headers: Record<string, string> = {};
  const { versionId, lastUpdated } = resource.meta ?? {};
  if (versionId && lastUpdated) {
    headers.etag = `W/"${versionId}"`;
    headers['last-modified'] = new Date(lastUpdated).toUTCString();
  }
  if (status === 201) {
    headers.location = `${state.baseUrl}fhir/R4/${resource.resourceType}/${resource.id}`;
  }
  if (method === 'GET' && status === 200 && isFresh(exchange.headers, headers)) {
    return { status: 304, headers };
  }
  const json = storage.inject(JSON.stringify(resource));
  const pretty = exchange.query.includes('_pretty=true');
  return {
    status,
    contentType: contentType.includes('charset') ? contentType : `${contentType}; charset=utf-8`,
    headers,
    body: pretty ? JSON.stringify(JSON.parse(json), undefined, 2) : json,
  };
}

function isFresh(asked: Exchange['headers'], { etag, 'last-modified': lastModified }: Record<string, string>): boolean {
  if (!etag || asked['cache-control']?.includes('no-cache')) {
    return false;
  }
  const tags = asked['if-none-match'];
  if (tags !== undefined) {
    const wanted = ['*', etag.replace(/^W\//, '')];
    return tags.split(',').some((tag) => wanted.includes(tag.trim().replace(/^W\//, '')));
  }
  const since = asked['if-modified-since'];
  return since !== undefined && lastModified !== undefined && Date.parse(lastModified) <= Date.parse(since);
}
