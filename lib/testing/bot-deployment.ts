import type { FhirRequest, FhirResponse } from '@medplum/fhir-router';
import type { Bot } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { core } from './medplum-peers';
import { emulated } from './repository';

/** `Bot/<id>/$deploy`: stores the code that `$execute` runs. */
export async function deployBot({ params, body }: FhirRequest, repository: unknown): Promise<FhirResponse> {
  const source = emulated(repository);
  const bot = await source.readResource<Bot>('Bot', params.id ?? '');
  const { code, filename = 'index.js' } = (body ?? {}) as { code?: string; filename?: string };
  if (!code && !bot.executableCode?.url) {
    return [core.badRequest('Bot missing executable code')];
  }
  if (!source.hasFeature('bots')) {
    return [core.badRequest('Bots not enabled')];
  }
  if (code) {
    const contentType = 'text/javascript';
    const url = await source.storeBinary(contentType, Buffer.from(code));
    await source.updateResource<Bot>({ ...bot, executableCode: { contentType, url, title: filename } });
  }
  return [core.allOk];
}
