import type { AuditEventAgent } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import * as codes from './fhir-codes';
import { identityReference } from '../../shared/identity-reference';
import type { RequestEvent } from '../request-event';

/** The user as requestor, the client that acts for them, and the server. Then who really acted, and from where. */
export function agentsOf(event: RequestEvent, address: string): AuditEventAgent[] {
  const { onBehalfOf, context, baseUrl } = event;
  const pattern = codes.patternOf(event.action);
  const user = onBehalfOf === undefined ? undefined : identityReference(onBehalfOf, baseUrl);
  const client: AuditEventAgent = {
    ...(user ? { extension: [{ url: codes.ON_BEHALF_OF, valueReference: user }] } : {}),
    type: pattern.client,
    who: { reference: `ClientApplication/${event.clientId}` },
    // FHIR R4 wants exactly one requestor: the agent that started the event.
    requestor: user === undefined,
    network: { address: address, type: '1' },
  };
  const server: AuditEventAgent = {
    type: pattern.server,
    who: { identifier: { value: baseUrl } },
    requestor: false,
    network: { address: baseUrl, type: '5' },
  };
  const purposeOfUse = [context?.purposeOfUse ?? []]
    .flat()
    .map((code) => ({ coding: [{ system: codes.ACT_REASON, code }] }));
  const further: AuditEventAgent[] = [
    ...(context?.actor === undefined
      ? []
      : [{ type: { text: 'Actor' }, who: { identifier: { value: context.actor } }, requestor: false }]),
    ...(context?.address === undefined
      ? []
      : [
          {
            type: { text: 'End user device' },
            requestor: false,
            network: { address: context.address, type: '2' as const },
          },
        ]),
  ];
  if (!user) {
    // Without a user, the client is the requestor, so the facts about the end user go there.
    return [{ ...client, ...endUser(context?.subject, purposeOfUse) }, server, ...further];
  }
  return [
    {
      type: pattern.user,
      who: user,
      requestor: true,
      ...endUser(context?.subject, purposeOfUse),
      ...(onBehalfOf?.startsWith('ProjectMembership/') ? { policy: [onBehalfOf] } : {}),
    },
    client,
    server,
    ...further,
  ];
}

function endUser(subject: string | undefined, purposeOfUse: AuditEventAgent['purposeOfUse'] & object) {
  return {
    ...(subject === undefined ? {} : { altId: subject }),
    ...(purposeOfUse.length > 0 ? { purposeOfUse } : {}),
  };
}
