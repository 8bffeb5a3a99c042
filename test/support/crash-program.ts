import 'reflect-metadata';
import { randomUUID } from 'node:crypto';
import { writeSync } from 'node:fs';
import { NestFactory } from '@nestjs/core';
import { FileAuditSink, MedplumModule, MedplumService } from 'nestjs-medplum';

const [, , , baseUrl = '', path = '', key = ''] = process.argv;

/**
 * Makes several calls at a time until it is killed, and prints the trace id of each call that has returned. It records
 * every call in a chained file (`audit.mode: 'require'`).
 */
async function main(): Promise<void> {
  const sink = new FileAuditSink({ path, form: 'phi', maxBytes: 40_000, chain: { key, onHead: () => undefined } });
  const module = MedplumModule.forRoot({
    baseUrl,
    clientId: 'client-1',
    clientSecret: 'secret-1',
    audit: { mode: 'require', sinks: [sink] },
  });
  const app = await NestFactory.createApplicationContext(module, { logger: false });
  const medplum = app.get(MedplumService);
  const work = async (write: boolean): Promise<never> => {
    for (;;) {
      const traceId = randomUUID();
      const options = { onBehalfOf: 'm-1', headers: { 'x-trace-id': traceId } };
      await (write
        ? medplum.createResource({ resourceType: 'Patient', name: [{ family: 'Łódź\u2028 – "quoted"' }] }, options)
        : medplum.readResource('Patient', '1', options));
      writeSync(1, `${traceId}\n`);
    }
  };
  await Promise.all([work(true), work(true), work(true), work(false), work(false)]);
}

main().catch((error: unknown) => {
  process.stderr.write(`${String(error)}\n`);
  process.exitCode = 1;
});
