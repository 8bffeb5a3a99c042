import type { Command, Reply } from './bench.types';
import { CLIENTS, LONE_READ, type Operation, service, TWENTY_READS } from './client-subjects';
import { repeat, serve, usageOf } from './measured-process';
import { PATIENT_ID } from './patient-id';

const [, , name = '', baseUrl = '', checkout = ''] = process.argv;
const target = { baseUrl, checkout };

/** Measures how much larger the heap is after many calls for many users than after a few. */
async function heapGrowth(calls: number, identities: number): Promise<Reply> {
  const { medplum, audit } = await service(target);
  audit.events$.subscribe(() => undefined);
  let call = 0;
  const read = (): Promise<unknown> => {
    const onBehalfOf = `m-${call++ % identities}`;
    const forms = [
      () => medplum.readResource('Patient', PATIENT_ID, { onBehalfOf }),
      () => medplum.onBehalfOf(onBehalfOf, () => medplum.readResource('Patient', PATIENT_ID)),
      () => medplum.actingAs(onBehalfOf).readResource('Patient', PATIENT_ID),
    ];
    return (forms[call % forms.length] ?? read)();
  };
  await repeat(5_000, 32, read);
  const before = await heap();
  const usage = await usageOf(() => repeat(calls, 32, read));
  return { ...usage, heap: (await heap()) - before };
}

/** The size of the heap after garbage collection, in bytes. */
async function heap(): Promise<number> {
  for (let i = 0; i < 5; i++) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    globalThis.gc?.();
  }
  return process.memoryUsage().heapUsed;
}

/** A read for each of many users in turn. Each of them has called once before. */
async function readForMany(identities: number): Promise<Operation> {
  const { medplum } = await service(target);
  let call = 0;
  const read = () => medplum.readResource('Patient', PATIENT_ID, { onBehalfOf: `m-${call++ % identities}` });
  await repeat(identities, 32, read);
  return read;
}

async function operationOf(subject: string): Promise<Operation | undefined> {
  const identities = /^(\d+) identities$/.exec(subject)?.[1];
  return identities === undefined
    ? { ...CLIENTS, ...TWENTY_READS, ...LONE_READ }[subject]?.(target)
    : readForMany(Number(identities));
}

async function main(): Promise<void> {
  const operation = await operationOf(name);
  serve('', async (command: Command) => {
    if (command.do === 'run' && operation) {
      return usageOf(() => repeat(command.count, command.concurrency, () => operation(command.size)));
    }
    if (command.do === 'memory') {
      return heapGrowth(command.calls, command.identities);
    }
    throw new Error(`The client process "${name}" does not know the command "${command.do}".`);
  });
}

void main();
