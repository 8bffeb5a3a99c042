/** A promise that the test settles itself. */
export interface Gate {
  readonly open: () => void;
  readonly opened: Promise<void>;
}

/** Closed until `open` is called. */
export function gate(): Gate {
  let open: (() => void) | undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { open: () => open?.(), opened };
}
