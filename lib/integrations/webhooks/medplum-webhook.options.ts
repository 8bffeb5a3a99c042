import type { ResourceType } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import type { ModuleRef } from '@nestjs/core';
import { MedplumConfigError } from '../../errors/medplum-config.error';
import type { OnBehalfOfSource } from '../../on-behalf-of/on-behalf-of.source';
import { isResourceType } from '../../shared/fhir-id';
import { isMilliseconds } from '../../shared/milliseconds';

/**
 * The secret of a Subscription; several while you rotate it. A function is called for each delivery, and finds your
 * providers with `moduleRef.get(ConfigService, { strict: false })`.
 */
export type MedplumWebhookSecret =
  | string
  | readonly string[]
  | ((moduleRef: ModuleRef) => string | readonly string[] | Promise<string | readonly string[]>);

/** Options of {@link MedplumWebhook}. */
export interface MedplumWebhookOptions {
  /**
   * What the Subscription signs with: the value of its extension
   * `https://www.medplum.com/fhir/StructureDefinition/subscription-secret`. At least 16 characters. Each Subscription
   * needs a secret of its own, because a signature does not say which Subscription it is for.
   */
  readonly secret: MedplumWebhookSecret;
  /** Who the resource is read as, and the handler runs as. It is never the client. A source as of `@OnBehalfOf()`. */
  readonly onBehalfOf: OnBehalfOfSource;
  /** The resource type in the criteria of the Subscription. Deliveries of other types are refused. */
  readonly resourceType: ResourceType;
  /** Name of the client, for apps with several. Default: the unnamed client. */
  readonly client?: string | undefined;
  /**
   * How long a delivery that was handled is remembered, in ms, so that a repetition of it is dropped. Default 24 hours.
   */
  readonly rememberFor?: number | undefined;
}

/** The shortest secret that is taken, in characters. Medplum itself takes any, and a short one can be guessed offline. */
const SHORTEST_SECRET = 16;

const DAY = 86_400_000;

const UNFIT_SECRET = `the secret is not a text of at least ${SHORTEST_SECRET} characters, nor a list of such texts. Pass the value of the extension subscription-secret of the Subscription.`;

/** @internal The options with their defaults. */
export type WebhookSettings = Required<Omit<MedplumWebhookOptions, 'client'>> & { readonly client: string | undefined };

/**
 * @internal
 * @throws MedplumConfigError that lists every problem of the options, but none of their values.
 */
export function resolveWebhookOptions(place: string, options: MedplumWebhookOptions): WebhookSettings {
  const { secret, onBehalfOf, resourceType, client, rememberFor = DAY } = options;
  const problems = [
    ...(typeof secret === 'function' || areSecrets(secretsOf(secret)) ? [] : [UNFIT_SECRET]),
    // A webhook has no user, so an identity that is not named here would be a guess.
    ...(onBehalfOf === undefined ? ['onBehalfOf is missing. Name the identity that the handler runs as.'] : []),
    ...(isResourceType(resourceType) ? [] : ['resourceType is not the name of a resource type, such as Patient.']),
    ...(isMilliseconds(rememberFor) ? [] : ['rememberFor is not a number of milliseconds between 1 and 2147483647.']),
  ];
  if (problems.length > 0) {
    throw new MedplumConfigError(`@MedplumWebhook() on ${place} is wrong:\n- ${problems.join('\n- ')}`);
  }
  return Object.freeze({ secret, onBehalfOf, resourceType, client, rememberFor });
}

/**
 * @internal The secrets that a delivery may be signed with.
 *
 * @throws MedplumConfigError when the function of the app returned something else.
 */
export async function currentSecrets({ secret }: WebhookSettings, moduleRef: ModuleRef): Promise<readonly string[]> {
  const secrets = secretsOf(typeof secret === 'function' ? await secret(moduleRef) : secret);
  if (!areSecrets(secrets)) {
    throw new MedplumConfigError(`A delivery of Medplum was refused, because ${UNFIT_SECRET}`);
  }
  return secrets;
}

/** @internal */
export function secretsOf(secret: string | readonly string[]): readonly string[] {
  return typeof secret === 'string' ? [secret] : secret;
}

function areSecrets(secrets: unknown): boolean {
  return (
    Array.isArray(secrets) &&
    secrets.length > 0 &&
    secrets.every((secret) => typeof secret === 'string' && secret.length >= SHORTEST_SECRET)
  );
}
