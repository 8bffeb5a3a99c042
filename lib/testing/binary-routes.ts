import type { Binary } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { fail } from './outcome-error';
import type { StoredResource } from './emulator.types';
import { readBody, requireCaller, type Answer, type Exchange } from './exchange';
import { core } from './medplum-peers';
import { resourceAnswer } from './resource-answer';
import { withCharset, type StorageUrls } from './storage-urls';

type StoredBinary = Binary & StoredResource;

/**
 * Handles `POST /fhir/R4/Binary`, and `PUT` and `GET /fhir/R4/Binary/<id>`, which transfer raw content of any type.
 *
 * @returns `undefined` if the ordinary FHIR routes handle the request.
 */
export async function binaryAnswer(
  exchange: Exchange,
  path: string,
  storage: StorageUrls,
): Promise<Answer | undefined> {
  const { method } = exchange;
  const [, type, id, ...rest] = path.split('/');
  if (type !== 'Binary' || rest.length > 0 || id?.startsWith('$')) {
    return undefined;
  }
  if (method === 'GET' && id) {
    return exchange.headers.accept?.startsWith('application/fhir+json')
      ? undefined
      : downloadAnswer(exchange, id, storage);
  }
  if (method === 'HEAD' && id) {
    // Express answers HEAD with the route for GET, which sends raw content only to a GET.
    const repository = exchange.state.repository(requireCaller(exchange), exchange.extended);
    return resourceAnswer(exchange, storage, 200, await repository.readResource('Binary', id));
  }
  if (method === 'POST' && !id) {
    return uploadAnswer(exchange, undefined, storage);
  }
  return method === 'PUT' && id ? uploadAnswer(exchange, id, storage) : undefined;
}

async function downloadAnswer(exchange: Exchange, id: string, storage: StorageUrls): Promise<Answer> {
  const { state } = exchange;
  const repository = state.repository(requireCaller(exchange), exchange.extended);
  const binary = await repository.readResource<Binary>('Binary', id);
  const content = state.store.blob(binary.id, binary.meta?.versionId ?? '');
  const { headers } = resourceAnswer(exchange, storage, 200, binary);
  return {
    status: 200,
    contentType: withCharset(binary.contentType ?? 'application/octet-stream'),
    headers: headers ?? {},
    body: content ?? fail(core.notFound),
  };
}

async function uploadAnswer(exchange: Exchange, id: string | undefined, storage: StorageUrls): Promise<Answer> {
  const { state, headers } = exchange;
  const repository = state.repository(requireCaller(exchange), exchange.extended);
  const { binary, content } = await uploaded(exchange);
  const context = headers['x-security-context'];
  const resource: Binary = {
    ...binary,
    ...(typeof context === 'string' && { securityContext: { reference: context } }),
    ...(id && { id }),
  };
  const stored = (
    id ? await repository.updateResource(resource) : await repository.createResource(resource)
  ) as StoredBinary;
  state.store.putBlob(stored.id, stored.meta.versionId ?? '', content);
  return resourceAnswer(exchange, storage, id ? 200 : 201, { ...stored, url: `Binary/${stored.id}` });
}

/** A FHIR body is a Binary resource with base64 `data`. Any other body is the content itself. */
async function uploaded(exchange: Exchange): Promise<{ binary: Binary; content: Buffer }> {
  const contentType = exchange.headers['content-type'] ?? 'application/octet-stream';
  if (!contentType.startsWith('application/fhir+json')) {
    return { binary: { resourceType: 'Binary', contentType }, content: exchange.content };
  }
  const body = (await readBody(exchange)) as Partial<Binary>;
  if (body.resourceType !== 'Binary' || !body.contentType) {
    fail(core.badRequest(`Incorrect resource type: expected Binary, but found ${body.resourceType ?? '<EMPTY>'}`));
  }
  const { data = '', ...binary } = body as Binary;
  return { binary, content: Buffer.from(data, 'base64') };
}
