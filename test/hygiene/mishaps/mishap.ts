import type { Patient } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import type { MedplumError, MedplumModuleOptions, MedplumService } from 'nestjs-medplum';
import { PLANTED, taintedError } from '../../support/planted';
import { FOR_SOMEBODY } from '../../support/tainted-app';
import type { WireHandler } from '../../support/wire-server';

/** A call that fails, and the class of its error. */
export interface Mishap {
  readonly error: abstract new (...args: never[]) => MedplumError;
  /** Rejects or throws. */
  readonly call: (medplum: MedplumService) => unknown;
  readonly handler?: WireHandler;
  readonly options?: Partial<MedplumModuleOptions>;
}

export type Mishaps = Readonly<Record<string, Mishap>>;

const { record, version, query, body, server } = PLANTED;

export const RESOURCE: Patient = {
  resourceType: 'Patient',
  id: record,
  meta: { versionId: version },
  name: [{ family: body }],
};

export const read = (medplum: MedplumService) => medplum.readResource('Patient', record, FOR_SOMEBODY);
export const search = (medplum: MedplumService) => medplum.searchResources('Patient', { name: query }, FOR_SOMEBODY);
export const update = (medplum: MedplumService) => medplum.updateResource(RESOURCE, FOR_SOMEBODY);

/** A server that responds with this body. */
export const handing =
  (value: unknown): WireHandler =>
  () => ({ body: value });

export const throwing = (): never => {
  throw taintedError();
};

/** A response that the HTTP parser rejects and quotes in its error. */
export const garbage: WireHandler = (_request, response) => {
  response.socket?.end(`HTTP/1.1 200 OK\r\n${server} no header\r\n\r\n${record}`);
  return undefined;
};
