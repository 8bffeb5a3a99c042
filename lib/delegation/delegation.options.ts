import type { JsonWebKey, KeyObject } from 'node:crypto';

/**
 * A key of delegation tokens. The kind of the key fixes the algorithm, whatever a token says: HS256 for a secret, PS256
 * for RSA (2,048 bits or more), ES256, ES384 and ES512 for the curves P-256, P-384 and P-521, EdDSA for Ed25519.
 */
export type DelegationKey =
  | {
      /** Names the key in tokens: 1 to 64 letters, digits, dots, hyphens and underscores. No two keys share one. */
      readonly kid: string;
      /** A secret that signs and verifies: 32 bytes or more, from a random generator. Text counts as UTF-8. */
      readonly secret: string | Uint8Array | KeyObject;
    }
  | {
      /** Names the key in tokens. */
      readonly kid: string;
      /** Signs and verifies: PEM (PKCS #8, without a passphrase), JWK or `KeyObject`. */
      readonly privateKey: string | JsonWebKey | KeyObject;
    }
  | {
      /** Names the key in tokens. */
      readonly kid: string;
      /** Only verifies: PEM (SPKI), JWK or `KeyObject`. */
      readonly publicKey: string | JsonWebKey | KeyObject;
    };

/** The option `delegation`: how this service makes and accepts delegation tokens. */
export interface MedplumDelegationOptions {
  /**
   * The keys. The first one that can sign makes the tokens of this service, and all of them verify. A service that only
   * accepts tokens may have public keys alone. Required.
   */
  readonly keys: readonly DelegationKey[];
  /** What this service is called in the tokens that are meant for it. Default: each use has to name its audience. */
  readonly audience?: string | undefined;
  /** Names the deployment. Services that delegate to each other give the same. Default `nestjs-medplum`. */
  readonly issuer?: string | undefined;
  /**
   * Names the Medplum project. A token opens no scope in a client with another realm. Tokens carry a hash of it. Give the
   * services the same text if they reach one project under several addresses or with several ClientApplications. Default:
   * `publicUrl` or `baseUrl`, and `clientId`.
   */
  readonly realm?: string | undefined;
}
