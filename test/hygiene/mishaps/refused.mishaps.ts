import {
  accessEntry,
  literal,
  MedplumBadRequestError,
  MedplumProtocolError,
  OnBehalfOfReferenceError,
  referenceTo,
} from 'nestjs-medplum';
import { PLANTED } from '../../support/planted';
import { FOR_SOMEBODY } from '../../support/tainted-app';
import { type Mishap, type Mishaps, RESOURCE, throwing } from './mishap';

const { record, version, query, body, header, membership, project, signed } = PLANTED;
const who = FOR_SOMEBODY;

const cyclic: Record<string, unknown> = { ...RESOURCE };
cyclic[body] = cyclic;

/** Invalid arguments that contain values which must not leak. Some need a cast, because TypeScript would refuse them. */
const ARGUMENTS: Readonly<Record<string, Mishap['call']>> = {
  'an id that contains a path': (m) => m.readResource('Patient', `${record}/../${record}`, who),
  'an invalid resource type': (m) => m.readResource(`${record} ${record}` as 'Patient', '1', who),
  'an invalid version id': (m) => m.readVersion('Patient', record, `${version} ${version}`, who),
  'an invalid reference': (m) => m.readReference(`${record} of somebody`, who),
  'a header with a line break': (m) =>
    m.readResource('Patient', '1', { ...who, headers: { a: `${header}\r\n${header}` } }),
  'an invalid header name': (m) =>
    m.readResource('Patient', '1', { ...who, headers: { [`${header} ${header}`]: 'a' } }),
  'a reserved header': (m) =>
    m.readResource('Patient', '1', { ...who, headers: { Authorization: `Bearer ${header}` } }),
  'an unknown option': (m) => m.readResource('Patient', '1', { ...who, [`Patient/${record}`]: true }),
  'an unknown option that looks like an id': (m) =>
    m.readResource('Patient', '1', { ...who, [`${record}-4711`]: true }),
  'options that are text': (m) => m.readResource('Patient', '1', membership as never),
  'an invalid parameter name': (m) => m.search('Patient', { [`${query} ${query}`]: 'a' }, who),
  'an invalid parameter value': (m) => m.search('Patient', { name: { a: query } } as object, who),
  'an invalid parameter that looks like an id': (m) => m.search('Patient', { [`${query}-4711`]: '' }, who),
  'a search with an invalid query': (m) => m.search('Patient', [[query]] as never, who),
  'an invalid ifMatch': (m) => m.updateResource(RESOURCE, { ...who, ifMatch: `${version} ${version}` }),
  'a cyclic resource': (m) => m.createResource(cyclic as never, who),
  'a resource whose toJSON throws': (m) => m.createResource({ ...RESOURCE, toJSON: throwing } as never, who),
  'a resource that is text': (m) => m.createResource(body as never, who),
  'an empty condition': (m) => m.conditionalDelete('Patient', { [query]: undefined } as object, who),
  'an invalid patch': (m) => m.patchResource('Patient', record, body as never, who),
  'an invalid bundle': (m) => m.executeBatch({ ...RESOURCE } as never, who),
  'an invalid GraphQL document': (m) => m.graphql({ query } as never, who),
  'cyclic GraphQL variables': (m) => m.graphql('{ a }', { ...who, variables: cyclic }),
  'a path on another server': (m) => m.get(`https://${record}.example/${record}`, who),
  'the path of the token endpoint': (m) => m.get(`oauth2/token?code=${query}`, who),
  'a path that cannot be decoded': (m) => m.get(`fhir/R4/${record}%zz`, who),
  'a fetch without a URL': (m) => m.fetch({ url: record } as never, who),
  'a fetch with an invalid body': (m) => m.fetch('fhir/R4/Patient', { ...who, method: 'POST', body: { body } }),
  'an invalid operation name': (m) => m.operations.execute({ operation: `$${query}!` }, who),
  'an operation with an invalid value': (m) =>
    m.operations.execute({ operation: '$a', input: { [`${query}-4711`]: cyclic } }, who),
  'an operation that cannot be a GET': (m) =>
    m.operations.execute({ operation: '$a', method: 'GET', input: { [`${query}-4711`]: { body } } }, who),
  'an unknown parameter of lookup()': (m) =>
    m.operations.lookup({ code: query, system: 'a', [`${query}-4711`]: query }, who),
  'invalid content of an upload': (m) => m.binaries.upload({ body } as never, { contentType: 'text/plain' }, who),
  'an invalid media type': (m) => m.binaries.upload(body, { contentType: `${header}\n` }, who),
  'an invalid security context': (m) =>
    m.binaries.upload(body, { contentType: 'text/plain', securityContext: `${record} ${record}` }, who),
  'an invalid path of an attachment': (m) =>
    m.binaries.downloadAttachment(`Patient/${record}`, `photo.${query}()`, who),
  'an invalid bot': (m) => m.executeBot({ system: query }, body, who),
  'an export of an invalid type': (m) => m.bulk.export({ types: [`${record} ${record}`] }, who),
  'a membership search with two keys': (m) => m.memberships.find({ email: query, externalId: query }),
  'an invalid access policy': (m) => m.memberships.addAccess(membership, { policy: { reference: record } }, [record]),
  'an invalid project id': (m) => m.memberships.invite(`${project}/${project}`, { firstName: body } as never),
  'an access entry with an empty parameter name': () => accessEntry(record, { ' ': query }),
  'an access entry with an invalid value': () => accessEntry(record, { [`${query}-4711`]: { reference: '' } }),
  'an invalid literal': () => literal({ query } as never),
  'referenceTo() with an invalid reference': () => referenceTo(`${record} of somebody`),
  'referenceTo() with a signed address': () => referenceTo(`https://storage.example/${record}?signature=${signed}`),
};

/** Invalid identities. */
const IDENTITIES: Readonly<Record<string, unknown>> = {
  'two memberships': `${membership},${membership}`,
  'a reference with a path': `ProjectMembership/${membership}/../${membership}`,
  'a resource type without memberships': { reference: `Group/${membership}` },
  'a reference without a type': { reference: membership },
  'an object without an id': { resourceType: membership },
  'the client itself': `ClientApplication/${PLANTED.clientId}`,
  'a list': [membership],
};

/** Calls that the library refuses because of their arguments. Nothing is sent. */
export const REFUSED: Mishaps = {
  ...Object.fromEntries(
    Object.entries(ARGUMENTS).map(([name, call]) => [name, { error: MedplumBadRequestError, call }]),
  ),
  ...Object.fromEntries(
    Object.entries(IDENTITIES).flatMap(([name, onBehalfOf]) => [
      [
        `a call with the identity of ${name}`,
        {
          error: OnBehalfOfReferenceError,
          call: ((m) => m.readResource('Patient', record, { onBehalfOf } as never)) satisfies Mishap['call'],
        },
      ],
      [
        `a scope with the identity of ${name}`,
        {
          error: OnBehalfOfReferenceError,
          call: ((m) => m.onBehalfOf(onBehalfOf as string, () => undefined)) satisfies Mishap['call'],
        },
      ],
    ]),
  ),
  'a job on another server': {
    error: MedplumProtocolError,
    call: (m) => m.bulk.cancelJob(`https://${record}.example/fhir/R4/job/${record}`, who),
  },
};
