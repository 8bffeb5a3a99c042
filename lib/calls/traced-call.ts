import { isMedplumError, type MedplumError } from '../errors/medplum.error';
import type { FhirInteraction, FhirRequest } from '../fhir/fhir-request';
import type { CallSpanStart } from '../http/call-tracing';
import { DownloadStream } from '../http/download-stream';
import type { TransportResponse } from '../http/transport.types';
import type { CallContext } from './call-context';
import { CallRequest } from './call-request';

/** @internal Sends a request under a span of its own. The span ends when the caller gets the result. */
export async function traced(
  start: CallSpanStart,
  context: CallContext,
  interaction: FhirInteraction,
  describe: () => FhirRequest,
): Promise<TransportResponse> {
  const { name: client, settings } = context.connection;
  let request: FhirRequest | undefined;
  let described: () => FhirRequest;
  // Samplers decide when a span starts, so the request has to be described before that.
  try {
    const known = (request = describe());
    described = () => known;
  } catch (error) {
    described = () => {
      throw error;
    };
  }
  const { method, pathTemplate, action } = request ?? interaction;
  const { resourceType, operation } = request ?? {};
  const origin = request?.signedUrl?.origin ?? settings.baseUrl.origin;
  const identitySource = context.identity?.source;
  const span = start({ client, origin, method, pathTemplate, action, resourceType, operation, identitySource });
  const done = request?.repeatability === 'safe' ? 'none' : 'happened';
  const end = (answered: number | undefined, error?: unknown): void => {
    const { status = answered, effect = done, code } = isMedplumError(error) ? error : ({} as Partial<MedplumError>);
    span.ended({ status, effect, error: error === undefined ? undefined : (code ?? 'UNKNOWN') });
  };
  try {
    const response = await new CallRequest(context, interaction, span).run(described);
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
