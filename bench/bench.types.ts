/** The time that one subject used for a number of operations, in µs. */
export interface Usage {
  /** CPU time of the process, all threads. */
  readonly cpu: number;
  /** The part of `cpu` spent outside the kernel. Socket work happens inside it. */
  readonly user: number;
  readonly wall: number;
}

/** Something to measure. It runs `count` operations, `concurrency` of them at a time. */
export interface Subject {
  readonly name: string;
  run(count: number, concurrency: number): Promise<Usage>;
}

/** The median of the rounds of one subject, in µs per operation. */
export interface Figure extends Usage {
  readonly name: string;
  /** Operations in each round. */
  readonly count: number;
  /** The lowest and the highest CPU time of a round, in µs per operation. */
  readonly range: readonly [lowest: number, highest: number];
  /** CPU time of each round, in µs per operation. */
  readonly rounds: readonly number[];
}

/** Subjects that took turns in the same rounds. */
export interface Comparison {
  readonly title: string;
  readonly figures: readonly Figure[];
}

/** The CPU time of one kind of call in two builds of the library. */
export interface BuildRatio {
  readonly subject: string;
  /** Median, in µs per operation. */
  readonly thisBuild: number;
  /** Median, in µs per operation. */
  readonly otherBuild: number;
  /** Median of this build divided by the other build, round by round. */
  readonly ratio: number;
  /** Half of the rounds had a ratio in this range. */
  readonly quartiles: readonly [lower: number, upper: number];
}

/** The size of a response body. */
export type Size = '1 KB' | '100 KB' | '1 MB';

/** A command to a measured process. */
export type Command =
  | { readonly do: 'run'; readonly size: Size; readonly count: number; readonly concurrency: number }
  | { readonly do: 'usage' }
  | { readonly do: 'memory'; readonly calls: number; readonly identities: number };

/** The reply of a measured process to a command. */
export interface Reply extends Usage {
  /** Growth of the heap after garbage collection, in bytes. */
  readonly heap?: number;
  /** How long each call took, in ms. */
  readonly latencies?: readonly number[];
  /** The stack of the error, if the command failed. */
  readonly problem?: string;
}
