import type { RunDelegatedOptions } from '../../client/delegations';
import { getMedplumToken } from '../../medplum.tokens';
import type { OnBehalfOfDecoratorOptions } from '../../on-behalf-of/on-behalf-of.decorator';
import { DEFAULT_CLIENT } from '../../on-behalf-of/on-behalf-of.registry';
import { type MethodOf, wrapMethod } from '../../run-on-behalf-of.decorator';
import { type DelegatedJob, workOfJob } from './run-delegated-job';

/** A token, and how it is used. */
export interface DelegatedWork extends RunDelegatedOptions {
  /** The token, as it came with the work. */
  readonly token: string;
}

/**
 * Runs a method as the identity of the token that its arguments carry, for code that Nest runs without guards and
 * interceptors: queue processors, consumers of messages, event listeners. The method returns a promise.
 *
 * @param work gets the arguments of the method and returns the token and what it must be bound to. Declare the types of its
 * parameters. Default: for the first argument, a BullMQ job that {@link delegatedQueue} added.
 * @throws DelegationError and OnBehalfOfRejectedError (from the method) as `MedplumService.runDelegated` does;
 * MedplumConfigError when Nest did not create the instance.
 * @example
 * ```ts
 * @RunDelegated()
 * override async process(job: Job<Reminder>) {}
 * ```
 */
export function RunDelegated(): MethodOf<[job: DelegatedJob]>;
export function RunDelegated<A extends readonly unknown[]>(
  work: ((...args: A) => DelegatedWork) | undefined,
  options?: Pick<OnBehalfOfDecoratorOptions, 'client'>,
): MethodOf<A>;
export function RunDelegated(
  work: (...args: never[]) => DelegatedWork = workOfJob,
  options: Pick<OnBehalfOfDecoratorOptions, 'client'> = {},
): MethodOf<readonly unknown[]> {
  const acting = { decorator: 'RunDelegated', client: options.client ?? DEFAULT_CLIENT, reason: undefined } as const;
  return wrapMethod<readonly unknown[]>(acting, async (moduleRef, method, self, args) => {
    const { token, ...use } = Reflect.apply(work, self, args) as DelegatedWork;
    return moduleRef.get(getMedplumToken(options.client), { strict: false }).runDelegated(token, method, use);
  });
}
