import type { OnBehalfOfInput, OnBehalfOfReference } from '../on-behalf-of/on-behalf-of.reference';

/** What the hook of emergency access is told. Treat all of it as PHI in logs. */
export interface MedplumBreakGlassAlert {
  /** Id of the event that records the beginning (UUID). */
  readonly id: string;
  /** Name of the client. */
  readonly client: string;
  /** Who broke the glass. */
  readonly actor: OnBehalfOfReference;
  /** The membership that the calls act as. */
  readonly onBehalfOf: OnBehalfOfReference;
  /** Why, in the words of the user. */
  readonly reason: string;
  /** Codes of v3-ActReason. */
  readonly purposeOfUse: readonly string[];
  /** When the access ends at the latest. */
  readonly expiresAt: Date;
}

/** The option `breakGlass`: how `MedplumService.breakGlass()` gives emergency access. */
export interface MedplumBreakGlassOptions {
  /**
   * The membership with the access policy for emergencies, or a function that returns it for who breaks the glass: one per
   * organisation, for instance. Required.
   */
  readonly onBehalfOf: OnBehalfOfInput | ((actor: OnBehalfOfReference) => OnBehalfOfInput);
  /**
   * Called each time emergency access begins, once that is recorded: tell whoever watches over it. The access does not
   * wait for it. If it fails, the log says so. Required.
   */
  readonly alert: (alert: MedplumBreakGlassAlert) => void | Promise<void>;
  /** The longest time that emergency access may last, in ms. Default 3,600,000 (an hour). */
  readonly maxDuration?: number | undefined;
}
