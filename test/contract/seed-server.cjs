// Makes the fixtures of the recorded cases on a real Medplum server, through its public API.
const { readFileSync } = require('node:fs');
const path = require('node:path');

const FHIR = 'application/fhir+json';
const JSON_TYPE = 'application/json';
const FORM = 'application/x-www-form-urlencoded';

/** The error says which request failed, with the server's texts: the fixtures are synthetic. */
async function call(base, authorization, method, where, body, type = FHIR) {
  const response = await fetch(base + where, {
    method,
    headers: {
      'x-medplum': 'extended',
      ...(authorization && { authorization }),
      ...(body !== undefined && { 'content-type': type }),
    },
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  if (!response.ok) {
    throw new Error(`the server refused ${method} ${where} with ${response.status}: ${text}`);
  }
  return JSON.parse(text);
}

/** Logs in with e-mail and password, as the web app does. */
async function logIn(base, { email, password }) {
  const verifier = 'contract-seed-verifier';
  const challenge = { scope: 'openid', codeChallenge: verifier, codeChallengeMethod: 'plain' };
  const { code } = await call(base, undefined, 'POST', 'auth/login', { email, password, ...challenge }, JSON_TYPE);
  const form = new URLSearchParams({ grant_type: 'authorization_code', code, code_verifier: verifier });
  const { access_token: token } = await call(base, undefined, 'POST', 'oauth2/token', form.toString(), FORM);
  return token;
}

/**
 * @param base the server's URL, with a slash at the end.
 * @param credentials of a super admin: `token`, or `email` and `password`.
 * @returns the ids and secrets that the cases refer to. Each call makes new projects.
 */
async function seedServer(base, credentials) {
  const fixtures = JSON.parse(readFileSync(path.join(__dirname, 'wire-fixtures.json'), 'utf8'));
  const superAdmin = `Bearer ${credentials.token ?? (await logIn(base, credentials))}`;
  const vars = {};
  const valueOf = (name) => {
    const value = vars[name] ?? (name.endsWith('.id') ? vars[name.slice(0, -3)]?.split('/')[1] : undefined);
    if (value === undefined) {
      throw new Error(`the fixtures use ${name} before it is made`);
    }
    return value;
  };
  const filled = (value) =>
    JSON.parse(JSON.stringify(value).replaceAll(/\{\{([^{}]+)\}\}/g, (_, name) => valueOf(name)));
  const projectOf = (name) => valueOf(`${name}.id`);

  for (const { name, title, strictMode, features } of fixtures.projects) {
    const project = { resourceType: 'Project', name: title, strictMode, ...(features.length > 0 && { features }) };
    vars[name] = `Project/${(await call(base, superAdmin, 'POST', 'fhir/R4/Project', project)).id}`;
  }

  /** `Authorization` of the first admin client of each project. It makes what belongs to the project. */
  const admins = {};
  const withPolicy = [];
  for (const client of fixtures.clients) {
    const route = `admin/projects/${projectOf(client.project)}/client`;
    const made = await call(
      base,
      admins[client.project] ?? superAdmin,
      'POST',
      route,
      { name: client.title },
      JSON_TYPE,
    );
    const query = `fhir/R4/ProjectMembership?profile=ClientApplication/${made.id}`;
    const membership = (await call(base, superAdmin, 'GET', query)).entry[0].resource;
    vars[client.name] = `ClientApplication/${made.id}`;
    vars[`${client.name}.secret`] = made.secret;
    vars[`${client.name}.membership`] = `ProjectMembership/${membership.id}`;
    if (client.accessPolicy) {
      withPolicy.push([client, membership]);
    } else if (client.admin) {
      await call(base, superAdmin, 'PUT', `fhir/R4/ProjectMembership/${membership.id}`, { ...membership, admin: true });
      admins[client.project] ??= `Basic ${Buffer.from(`${made.id}:${made.secret}`).toString('base64')}`;
    }
  }

  for (const { name, project, resource, binary } of fixtures.resources) {
    const made = binary
      ? await call(base, admins[project], 'POST', 'fhir/R4/Binary', binary.text, binary.contentType)
      : await call(base, admins[project], 'POST', `fhir/R4/${resource.resourceType}`, filled(resource));
    vars[name] = `${made.resourceType}/${made.id}`;
  }
  for (const [{ admin, accessPolicy }, membership] of withPolicy) {
    const changed = { ...membership, admin, accessPolicy: { reference: valueOf(accessPolicy) } };
    await call(base, superAdmin, 'PUT', `fhir/R4/ProjectMembership/${membership.id}`, changed);
  }

  const run = Date.now().toString(36);
  for (const member of fixtures.memberships) {
    const authorization = admins[member.project];
    const profile = valueOf(member.profile);
    const [human] = fixtures.resources.find(({ name }) => name === member.profile).resource.name;
    const externalId = `contract-${member.name}-${run}`;
    const invitation = {
      resourceType: profile.split('/')[0],
      firstName: human.given[0],
      lastName: human.family,
      sendEmail: false,
      externalId,
      membership: {
        profile: { reference: profile },
        ...(member.admin && { admin: true }),
        ...(member.accessPolicy && { accessPolicy: { reference: valueOf(member.accessPolicy) } }),
        ...(member.access && { access: filled(member.access) }),
      },
    };
    const route = `admin/projects/${projectOf(member.project)}/invite`;
    const made = await call(base, authorization, 'POST', route, invitation, JSON_TYPE);
    vars[`${member.name}.membership`] = `ProjectMembership/${made.id}`;
    vars[`${member.name}.externalId`] = externalId;
    const where = `fhir/R4/ProjectMembership/${made.id}`;
    if (member.active === false) {
      await call(base, authorization, 'PUT', where, { ...made, active: false });
    }
    if (member.deleted) {
      await call(base, authorization, 'DELETE', where);
    }
  }

  // The server may know itself by another address than the one that reaches it.
  const found = await call(base, Object.values(admins)[0], 'GET', `fhir/R4/Organization?_id=${valueOf('ORG1.id')}`);
  return { format: 'medplum-wire-seeded/1', baseUrl: found.entry[0].fullUrl.split('fhir/R4/')[0], vars };
}

module.exports = { seedServer };
