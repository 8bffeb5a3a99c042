/** What one subject used for a number of operations. */
export interface Usage {
  /** CPU time of the process, all threads, in µs. */
  readonly cpu: number;
  /** The part of it outside the kernel, which has the sockets. */
  readonly user: number;
  /** In µs. */
  readonly wall: number;
}

/** Something that is measured: it does `count` operations, `concurrency` of them at a time. */
export interface Subject {
  readonly name: string;
  run(count: number, concurrency: number): Promise<Usage>;
}

/** Medians over the rounds, in µs per operation. */
export interface Figure extends Usage {
  readonly name: string;
  /** Operations in each round. */
  readonly count: number;
  /** Lowest and highest round, CPU time per operation. */
  readonly range: readonly [lowest: number, highest: number];
}

/** Subjects that were measured side by side. */
export interface Comparison {
  readonly title: string;
  readonly figures: readonly Figure[];
}

/** A size of answer. */
export type Size = '1 KB' | '100 KB' | '1 MB';

/** What is asked of a process that is measured. */
export type Command =
  | { readonly do: 'run'; readonly size: Size; readonly count: number; readonly concurrency: number }
  | { readonly do: 'usage' }
  | { readonly do: 'memory'; readonly calls: number; readonly identities: number };

/** What such a process answers. */
export interface Answer extends Usage {
  /** Growth of the heap after garbage collection, in bytes. */
  readonly heap?: number;
  /** What went wrong. */
  readonly problem?: string;
}
