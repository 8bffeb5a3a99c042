import type { FhirInteraction, FhirRequest } from './fhir/fhir-request';
import { isMedplumError, type MedplumError } from './errors/medplum.error';
import type { CallSpan, CallSpanStart } from './http/call-tracing';
import { DownloadStream } from './http/download-stream';
import type { TransportResponse } from './http/transport.types';

/** @internal One request of a pinned call, as far as its span is concerned. */
export interface CallToTrace {
  readonly client: string;
  readonly origin: string;
  readonly identitySource: string | undefined;
  /** What the span says of the request when its arguments are refused. */
  readonly interaction: FhirInteraction;
  /** Reads the arguments; it may throw. */
  readonly describe: () => FhirRequest;
  send(describe: () => FhirRequest, span: CallSpan): Promise<TransportResponse>;
}

/** @internal Makes a request under a span of its own, which ends when the caller gets what came of it. */
export async function traced(start: CallSpanStart, call: CallToTrace): Promise<TransportResponse> {
  const { client, identitySource, interaction } = call;
  let request: FhirRequest | undefined;
  let describe: () => FhirRequest;
  // A span needs to know from its first moment what it is about: samplers decide then.
  try {
    const described = (request = call.describe());
    describe = () => described;
  } catch (error) {
    describe = () => {
      throw error;
    };
  }
  const { method, pathTemplate, action } = request ?? interaction;
  const { resourceType, operation } = request ?? {};
  const origin = request?.signedUrl?.origin ?? call.origin;
  const span = start({ client, origin, method, pathTemplate, action, resourceType, operation, identitySource });
  const done = request?.repeatability === 'safe' ? 'none' : 'happened';
  const end = (answer: number | undefined, error?: unknown): void => {
    const { status = answer, effect = done, code } = isMedplumError(error) ? error : ({} as Partial<MedplumError>);
    span.ended({ status, effect, error: error === undefined ? undefined : (code ?? 'UNKNOWN') });
  };
  try {
    const response = await call.send(describe, span);
    const { status, body } = response;
    if (body instanceof DownloadStream) {
      void body.finished.then((error) => end(status, error));
    } else {
      end(status);
    }
    return response;
  } catch (error) {
    end(undefined, error ?? null);
    throw error;
  }
}
