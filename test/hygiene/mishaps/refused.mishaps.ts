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

/** Arguments that are wrong, with something in them that must not get out. TypeScript would refuse some of them. */
const ARGUMENTS: Readonly<Record<string, Mishap['call']>> = {
  'an id with a path': (m) => m.readResource('Patient', `${record}/../${record}`, who),
  'a type that is none': (m) => m.readResource(`${record} ${record}` as 'Patient', '1', who),
  'a version that is none': (m) => m.readVersion('Patient', record, `${version} ${version}`, who),
  'a reference to nothing': (m) => m.readReference(`${record} of somebody`, who),
  'a header with a line break': (m) =>
    m.readResource('Patient', '1', { ...who, headers: { a: `${header}\r\n${header}` } }),
  'a header without a name': (m) =>
    m.readResource('Patient', '1', { ...who, headers: { [`${header} ${header}`]: 'a' } }),
  'a header of ours': (m) => m.readResource('Patient', '1', { ...who, headers: { Authorization: `Bearer ${header}` } }),
  'an option that is none': (m) => m.readResource('Patient', '1', { ...who, [`Patient/${record}`]: true }),
  'an option that may be an id': (m) => m.readResource('Patient', '1', { ...who, [`${record}-4711`]: true }),
  'options that are text': (m) => m.readResource('Patient', '1', membership as never),
  'a parameter without a name': (m) => m.search('Patient', { [`${query} ${query}`]: 'a' }, who),
  'a parameter without a value': (m) => m.search('Patient', { name: { a: query } } as object, who),
  'a parameter that may be an id': (m) => m.search('Patient', { [`${query}-4711`]: '' }, who),
  'a search of what is none': (m) => m.search('Patient', [[query]] as never, who),
  'a version to match that is none': (m) => m.updateResource(RESOURCE, { ...who, ifMatch: `${version} ${version}` }),
  'a resource that goes round in a circle': (m) => m.createResource(cyclic as never, who),
  'a resource that throws': (m) => m.createResource({ ...RESOURCE, toJSON: throwing } as never, who),
  'a resource that is text': (m) => m.createResource(body as never, who),
  'a condition that is none': (m) => m.conditionalDelete('Patient', { [query]: undefined } as object, who),
  'a patch that is none': (m) => m.patchResource('Patient', record, body as never, who),
  'a bundle that is none': (m) => m.executeBatch({ ...RESOURCE } as never, who),
  'a document that is none': (m) => m.graphql({ query } as never, who),
  'variables that go round in a circle': (m) => m.graphql('{ a }', { ...who, variables: cyclic }),
  'a path elsewhere': (m) => m.get(`https://${record}.example/${record}`, who),
  'a path to tokens': (m) => m.get(`oauth2/token?code=${query}`, who),
  'a path that cannot be read': (m) => m.get(`fhir/R4/${record}%zz`, who),
  'a fetch that is none': (m) => m.fetch({ url: record } as never, who),
  'a fetch with a body that is none': (m) => m.fetch('fhir/R4/Patient', { ...who, method: 'POST', body: { body } }),
  'an operation that is none': (m) => m.operations.execute({ operation: `$${query}!` }, who),
  'an operation with a strange value': (m) =>
    m.operations.execute({ operation: '$a', input: { [`${query}-4711`]: cyclic } }, who),
  'an operation that cannot be a GET': (m) =>
    m.operations.execute({ operation: '$a', method: 'GET', input: { [`${query}-4711`]: { body } } }, who),
  'a term that is not known': (m) => m.operations.lookup({ code: query, system: 'a', [`${query}-4711`]: query }, who),
  'a content that is none': (m) => m.binaries.upload({ body } as never, { contentType: 'text/plain' }, who),
  'a media type that is none': (m) => m.binaries.upload(body, { contentType: `${header}\n` }, who),
  'a security context that is none': (m) =>
    m.binaries.upload(body, { contentType: 'text/plain', securityContext: `${record} ${record}` }, who),
  'a path of an attachment that is none': (m) =>
    m.binaries.downloadAttachment(`Patient/${record}`, `photo.${query}()`, who),
  'a bot that is none': (m) => m.executeBot({ system: query }, body, who),
  'an export of what is none': (m) => m.bulk.export({ types: [`${record} ${record}`] }, who),
  'a membership that is found in two ways': (m) => m.memberships.find({ email: query, externalId: query }),
  'a policy that is none': (m) => m.memberships.addAccess(membership, { policy: { reference: record } }, [record]),
  'a project that is none': (m) => m.memberships.invite(`${project}/${project}`, { firstName: body } as never),
  'an entry without a name': () => accessEntry(record, { ' ': query }),
  'an entry with a strange value': () => accessEntry(record, { [`${query}-4711`]: { reference: '' } }),
  'a literal that is none': () => literal({ query } as never),
  'a reference that is none': () => referenceTo(`${record} of somebody`),
  'a reference to a signed address': () => referenceTo(`https://storage.example/${record}?signature=${signed}`),
};

/** Identities that are none. */
const IDENTITIES: Readonly<Record<string, unknown>> = {
  'two people': `${membership},${membership}`,
  'a path': `ProjectMembership/${membership}/../${membership}`,
  'a type that cannot be acted for': { reference: `Group/${membership}` },
  'a reference without a type': { reference: membership },
  'an object without an id': { resourceType: membership },
  'the client itself': `ClientApplication/${PLANTED.clientId}`,
  'a list': [membership],
};

/** Calls that are refused for what they were given. Nothing is sent. */
export const REFUSED: Mishaps = {
  ...Object.fromEntries(
    Object.entries(ARGUMENTS).map(([name, call]) => [name, { error: MedplumBadRequestError, call }]),
  ),
  ...Object.fromEntries(
    Object.entries(IDENTITIES).flatMap(([name, onBehalfOf]) => [
      [
        `a call for ${name}`,
        {
          error: OnBehalfOfReferenceError,
          call: ((m) => m.readResource('Patient', record, { onBehalfOf } as never)) satisfies Mishap['call'],
        },
      ],
      [
        `a scope for ${name}`,
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
