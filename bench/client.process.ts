import type { Answer, Command } from './bench.types';
import { CLIENTS, service } from './client-subjects';
import { repeat, serve, usageOf } from './measured-process';

const [, , subject = '', baseUrl = ''] = process.argv;

/** What the heap has more after many calls for many users than it had after a few. */
async function heapGrowth(calls: number, identities: number): Promise<Answer> {
  const { medplum, audit } = await service(baseUrl);
  audit.events$.subscribe(() => undefined);
  let call = 0;
  const read = (): Promise<unknown> => {
    const onBehalfOf = `m-${call++ % identities}`;
    const forms = [
      () => medplum.readResource('Patient', '1', { onBehalfOf }),
      () => medplum.onBehalfOf(onBehalfOf, () => medplum.readResource('Patient', '1')),
      () => medplum.actingAs(onBehalfOf).readResource('Patient', '1'),
    ];
    return (forms[call % forms.length] ?? read)();
  };
  await repeat(5_000, 32, read);
  const before = await heap();
  const usage = await usageOf(() => repeat(calls, 32, read));
  return { ...usage, heap: (await heap()) - before };
}

async function heap(): Promise<number> {
  for (let i = 0; i < 5; i++) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    globalThis.gc?.();
  }
  return process.memoryUsage().heapUsed;
}

/** A call for each of many users in turn, after each of them has called once. */
async function spread(identities: number): Promise<() => Promise<unknown>> {
  const { medplum } = await service(baseUrl);
  let call = 0;
  const read = () => medplum.readResource('Patient', '1', { onBehalfOf: `m-${call++ % identities}` });
  await repeat(identities, 32, read);
  return read;
}

async function main(): Promise<void> {
  const identities = /^(\d+) identities$/.exec(subject)?.[1];
  const operation = identities === undefined ? await CLIENTS[subject]?.(baseUrl) : await spread(Number(identities));
  serve('', async (command: Command) => {
    if (command.do === 'run' && operation) {
      return usageOf(() => repeat(command.count, command.concurrency, () => operation(command.size)));
    }
    if (command.do === 'memory') {
      return heapGrowth(command.calls, command.identities);
    }
    throw new Error(`${subject} cannot do this.`);
  });
}

void main();
