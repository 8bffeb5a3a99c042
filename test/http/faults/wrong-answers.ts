import type { Fault } from '../../support/fault-matrix';
import { all, answer, expected, html } from './expected';

const redirect = (status: number) => (elsewhere: string) =>
  answer(status, { location: `${elsewhere}fhir/R4/Patient/1` });

/** Answers that Medplum does not give. */
export const WRONG_ANSWERS: readonly Fault[] = [
  ...[302, 307, 308].map((status) => ({
    name: `${status} to another origin`,
    handler: redirect(status),
    attempts: [`${status}`],
    expected: all(`1 request: MedplumProtocolError ${status}, none`),
  })),
  {
    name: '303 to another origin',
    handler: redirect(303),
    attempts: ['303'],
    // It is the answer to a request that was carried out (RFC 9110 section 15.4.4).
    expected: expected(
      '1 request: MedplumProtocolError 303, none',
      '1 request: MedplumProtocolError 303, unknown',
      '1 request: MedplumProtocolError 303, unknown',
    ),
  },
  {
    name: '307 to the same origin',
    handler: () => answer(307, { location: '/fhir/R4/Patient/2' }),
    attempts: ['307'],
    expected: all('1 request: MedplumProtocolError 307, none'),
  },
  {
    name: '200 as HTML',
    handler: () => html(200),
    attempts: ['200'],
    // A page of somebody between here and the server: it says nothing of the write.
    expected: expected(
      '1 request: MedplumProtocolError 200, none',
      '1 request: MedplumProtocolError 200, unknown',
      '1 request: MedplumProtocolError 200, unknown',
    ),
  },
  {
    name: '200 as JSON that is none',
    handler: () => () => ({ body: '{"resourceType":' }),
    attempts: ['200'],
    expected: expected(
      '1 request: MedplumProtocolError 200, none',
      '1 request: MedplumProtocolError 200, happened',
      '1 request: MedplumProtocolError 200, happened',
    ),
  },
];
