/** A promise that the test resolves with `open()`. */
export interface Gate {
  readonly open: () => void;
  readonly opened: Promise<void>;
}

/** Creates a gate, which is closed until the test calls `open()`. */
export function gate(): Gate {
  let open: (() => void) | undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { open: () => open?.(), opened };
}
