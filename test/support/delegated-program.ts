import 'reflect-metadata';
import { parentPort } from 'node:worker_threads';
import { NestFactory } from '@nestjs/core';
import { isMedplumError, MedplumModule, MedplumService } from 'nestjs-medplum';

/** What the parent sends: a token, and the work that it is for. */
interface Work {
  readonly token: string;
  readonly patient: string;
}

const [baseUrl = '', secret = ''] = process.argv.slice(-2);

function answer(message: object): void {
  (parentPort ? parentPort.postMessage.bind(parentPort) : process.send?.bind(process))?.(message);
}

/** Reads patients for others, in a thread or a process of its own, until it is told to stop. */
async function main(): Promise<void> {
  const module = MedplumModule.forRoot({
    baseUrl,
    clientId: 'client-1',
    clientSecret: 'secret-1',
    delegation: { keys: [{ kid: 'k1', secret }], audience: 'worker' },
  });
  const app = await NestFactory.createApplicationContext(module, { logger: false });
  const medplum = app.get(MedplumService);
  const work = async (message: Work | 'stop'): Promise<void> => {
    if (message === 'stop') {
      await app.close();
      parentPort?.close();
      process.disconnect?.();
      return;
    }
    const { token, patient } = message;
    try {
      const as = await medplum.runDelegated(token, async () => {
        await medplum.readResource('Patient', patient);
        return medplum.currentOnBehalfOf;
      });
      answer({ patient, as });
    } catch (error) {
      answer({ patient, refused: isMedplumError(error) ? error.code : String(error) });
    }
  };
  (parentPort ?? process).on('message', (message: Work | 'stop') => void work(message));
  answer({ ready: true });
}

main().catch((error: unknown) => {
  process.stderr.write(`${String(error)}\n`);
  process.exitCode = 1;
});
