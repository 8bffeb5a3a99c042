/** Where the value of the `Authorization` header comes from. */
export interface Credentials {
  /** The value to send now. Rejects with a `MedplumError` when it cannot be had. */
  authorization(): string | Promise<string>;
  /**
   * Called once per call when the server answered 401 to `rejected`. Resolves to whether there is another value to try.
   */
  renew(rejected: string): Promise<boolean>;
}
