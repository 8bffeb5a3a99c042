/** Where the value of the `Authorization` header comes from. */
export interface Credentials {
  /** The value to send now, `undefined` for none. Rejects with a `MedplumError` when it cannot be had. */
  authorization(): string | Promise<string> | undefined;
  /**
   * Called once per call when the server answered 401 to `rejected`. Resolves to whether there is another value to try.
   */
  renew(rejected: string): Promise<boolean>;
}

/** For addresses that are credentials themselves: nothing is sent along. */
export const NO_CREDENTIALS: Credentials = {
  authorization: () => undefined,
  renew: () => Promise.resolve(false),
};
