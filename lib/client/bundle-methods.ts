import type { Bundle, BundleEntry, Identifier } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { executeBot, EXECUTE_BOT } from '../fhir/bots';
import { transaction } from '../fhir/bundles';
import { graphql, GRAPHQL } from '../fhir/graphql';
import { batch, INTERACTIONS } from '../fhir/interactions';
import type { MedplumRequestOptions } from '../medplum-request.options';
import type { MedplumBotOptions, MedplumGraphqlOptions } from './client.options';
import { MedplumSearchMethods } from './search-methods';

/** Batches, transactions, GraphQL and bots: calls that do several things at once. */
export abstract class MedplumBundleMethods extends MedplumSearchMethods {
  /**
   * Sends a bundle of type `batch` or `transaction`; all entries run for the same identity. Look at the status of each
   * entry (`entryResults()`): a batch answers 200 when entries failed, and so does a transaction in a project without the
   * feature `transaction-bundles`, where it is not atomic.
   *
   * @throws MedplumBadRequestError for an empty bundle, one of another type, and for `Prefer: respond-async` together
   * with an identity (the server would run it as the client).
   */
  executeBatch(bundle: Bundle, options: MedplumRequestOptions = {}): Promise<Bundle> {
    return this.calls.request(INTERACTIONS.batch, () => batch(bundle), options);
  }

  /**
   * Sends a transaction: all of its entries take effect, or the call fails. Make the entries with `bundleEntry`.
   *
   * @throws MedplumTransactionError when some entries failed and others took effect, because the project lacks the
   * feature `transaction-bundles`; otherwise the error of the entry that failed.
   */
  executeTransaction(entries: readonly BundleEntry[] | Bundle, options: MedplumRequestOptions = {}): Promise<Bundle> {
    const interaction = { ...INTERACTIONS.batch, action: 'transaction' } as const;
    return this.calls.request(interaction, () => transaction(entries), options);
  }

  /**
   * Runs a GraphQL document, and returns its `data`. Fields that are not granted are errors there, not refusals.
   *
   * @typeParam T of the data, as the document selects it.
   * @throws MedplumGraphqlError when the answer names errors; what was readable is its `partialData`.
   */
  async graphql<T = unknown>(query: string, options: MedplumGraphqlOptions = {}): Promise<T> {
    const describe = () => graphql(query, options.operationName, options.variables);
    const further = ['variables', 'operationName'];
    const { data } = await this.calls.request<{ readonly data: T }>(GRAPHQL, describe, options, { further });
    return data;
  }

  /**
   * Runs a bot. Text and bytes are sent as they are (`contentType`, default `text/plain`), everything else as JSON. The
   * answer is parsed when its content type is JSON, else it is text; `undefined` when it is empty. It is never repeated
   * once it may have reached the server.
   *
   * A bot runs with its own rights, unless it is set to run as its user.
   *
   * @param bot id of the Bot, or an identifier of it.
   */
  executeBot<T = unknown>(bot: string | Identifier, input?: unknown, options: MedplumBotOptions = {}): Promise<T> {
    const describe = () => executeBot(bot, input, options.contentType);
    return this.calls.request(EXECUTE_BOT, describe, options, { further: ['contentType'] });
  }
}
