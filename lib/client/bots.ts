import type { Bot, OperationOutcome } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { CREATE_BOT, createBot, deployBot, type NewBot } from '../fhir/bots';
import { OPERATION } from '../fhir/operations';
import type { WithId } from '../fhir/resource.types';
import type { MedplumRequestOptions } from '../calls/request.options';
import type { ClientCalls } from '../calls/call';

/** Creates and deploys bots: `medplum.bots`. Run them with `medplum.executeBot()`; read and change them like other resources. */
export class MedplumBots {
  readonly #calls: ClientCalls;

  /** @internal */
  constructor(calls: ClientCalls) {
    this.#calls = calls;
  }

  /** Creates a bot and its membership. Only admins may. */
  create(projectId: string, bot: NewBot, options: MedplumRequestOptions = {}): Promise<WithId<Bot>> {
    return this.#calls.body(CREATE_BOT, () => createBot(projectId, bot), options);
  }

  /** Deploys the code of a bot. `filename` decides how it is loaded (`index.js`, `index.cjs`, `index.mjs`). */
  deploy(
    id: string,
    code: string,
    filename = 'index.js',
    options: MedplumRequestOptions = {},
  ): Promise<OperationOutcome> {
    return this.#calls.body(OPERATION, () => deployBot(id, code, filename), options);
  }
}
