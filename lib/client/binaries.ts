import { Readable } from 'node:stream';
import type { Attachment, Binary, DocumentReference, Resource } from '@medplum/fhirtypes' with {
  'resolution-mode': 'import',
};
import { MedplumProtocolError } from '../errors/response.errors';
import { MedplumContentTooLargeError } from '../errors/transport.errors';
import { attachmentAt, checkAttachmentPath, contentRequest, SIGNED } from '../fhir/attachments';
import {
  BINARY,
  type BinaryContent,
  checkMaxBytes,
  downloadBinary,
  uploadBinary,
  type UploadDescription,
} from '../fhir/binaries';
import { checkResource, create, INTERACTIONS, read } from '../fhir/interactions';
import type { Stored, WithId } from '../fhir/resource.types';
import { readReference } from '../fhir/versions';
import type { TransportResponse } from '../http/transport.types';
import type { MedplumRequestOptions } from '../calls/request.options';
import type { Call, ClientCalls } from '../calls/call';
import type { MedplumDownloadOptions } from './client.options';

/** Content that is being downloaded. */
export interface MedplumDownload {
  /**
   * The content. Read it to its end or destroy it: until then it holds a connection. It fails with
   * MedplumContentTooLargeError beyond `maxBytes`, and with MedplumTimeoutError when the time of the call is up.
   */
  readonly stream: Readable;
  /** Media type, if the server names one. */
  readonly contentType?: string;
  /** Size in bytes, if the server says so. */
  readonly size?: number;
}

const DOWNLOAD = { further: ['maxBytes'] };

/** Files: `medplum.binaries`. */
export class MedplumBinaries {
  readonly #calls: ClientCalls;

  /** @internal */
  constructor(calls: ClientCalls) {
    this.#calls = calls;
  }

  /**
   * Uploads content as a Binary. Medplum lets everyone who may read Binaries read each of them by its id.
   *
   * @throws MedplumContentTooLargeError when the content is larger than `maxBytes`.
   */
  upload(
    content: BinaryContent,
    description: UploadDescription,
    options: MedplumRequestOptions = {},
  ): Promise<WithId<Binary>> {
    return this.#calls.body(BINARY.upload, () => uploadBinary(content, description), options);
  }

  /** Downloads the content of a Binary. The `timeout` of the call covers the reading, too. */
  async download(id: string, options: MedplumDownloadOptions = {}): Promise<MedplumDownload> {
    const call = this.#calls.begin(options, DOWNLOAD);
    return downloadOf(await call.send(BINARY.download, () => downloadBinary(id, options.maxBytes)));
  }

  /**
   * Downloads an attachment of a resource. It reads the resource first, with the same identity: who may not read the
   * resource gets nothing. Signed addresses are fetched without credentials, from the server itself or from
   * `storageOrigins`. They appear in no event, error or log.
   *
   * @param owner the resource, or a reference to it (`DocumentReference/123`).
   * @param path of the attachment in it: `content[0].attachment`, `photo[0]`.
   * @throws MedplumBadRequestError when there is no attachment; MedplumProtocolError when it is on another server.
   */
  async downloadAttachment(
    owner: Resource | string,
    path: string,
    options: MedplumDownloadOptions = {},
  ): Promise<MedplumDownload> {
    const call = this.#calls.begin(options, { ...DOWNLOAD, timeout: 'whole' });
    const resource = await call.body(INTERACTIONS.read, () => {
      checkAttachmentPath(path);
      checkMaxBytes(options.maxBytes);
      return typeof owner === 'object' && owner !== null
        ? read(owner.resourceType, owner.id ?? '')
        : readReference(owner, this.#calls.connection.settings.baseUrl);
    });
    return this.#content(call, attachmentAt(resource, path), options.maxBytes);
  }

  /** Uploads a document and creates the DocumentReference that names it, both with one identity. */
  async createDocumentReference(
    document: Omit<DocumentReference, 'content'> & { readonly title?: string },
    content: BinaryContent,
    description: UploadDescription,
    options: MedplumRequestOptions = {},
  ): Promise<Stored<DocumentReference>> {
    const call = this.#calls.begin(options, { timeout: 'whole' });
    return call.whole(async () => {
      const binary = await call.body(BINARY.upload, () => {
        checkResource(document);
        return uploadBinary(content, description);
      });
      const { title, ...rest } = document;
      const attachment: Attachment = {
        contentType: description.contentType,
        url: `Binary/${(binary as Binary).id}`,
        ...(title === undefined ? {} : { title }),
      };
      const resource: DocumentReference = { ...rest, content: [{ attachment }] };
      return (await call.body(INTERACTIONS.create, () => create(resource))) as Stored<DocumentReference>;
    });
  }

  async #content(call: Call, attachment: Attachment, maxBytes: number | undefined): Promise<MedplumDownload> {
    const { data, url } = attachment;
    const contentType = typeof attachment.contentType === 'string' ? attachment.contentType : undefined;
    if (url === undefined && data !== undefined) {
      return inline(data, contentType, checkMaxBytes(maxBytes));
    }
    const { baseUrl, storageOrigins } = this.#calls.connection.settings;
    const describe = () => contentRequest(url, baseUrl, storageOrigins, maxBytes);
    const download = downloadOf(await call.send(SIGNED, describe));
    return contentType === undefined ? download : { ...download, contentType };
  }
}

function inline(data: unknown, contentType: string | undefined, maxBytes: number): MedplumDownload {
  if (typeof data !== 'string') {
    throw new MedplumProtocolError('The attachment has data that is no text.');
  }
  const bytes = Buffer.from(data, 'base64');
  if (bytes.length > maxBytes) {
    throw new MedplumContentTooLargeError(
      `The attachment is larger than the ${maxBytes} bytes that are allowed (maxBytes).`,
    );
  }
  return { stream: Readable.from([bytes]), size: bytes.length, ...(contentType === undefined ? {} : { contentType }) };
}

/** @internal A response as a download. */
export function downloadOf({ body, header }: TransportResponse): MedplumDownload {
  const contentType = header('content-type');
  const size = Number(header('content-length') ?? Number.NaN);
  return {
    stream: body as Readable,
    ...(contentType === undefined ? {} : { contentType }),
    ...(Number.isSafeInteger(size) ? { size } : {}),
  };
}
