import type { NestExpressApplication } from '@nestjs/platform-express';
import type { Observation, Patient } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { MedplumAudit, type WithId } from 'nestjs-medplum';
import { type RecentCall, RecentCalls } from '../audit/recent-calls.service';
import { ClinicBackend, type DemoLogin } from '../backend/clinic.backend';
import { EmbeddedBackend } from '../backend/embedded.backend';
import { ClinicSettingsError, MEDPLUM_VARIABLES } from '../config/clinic.settings';
import { ClinicBrowser } from './clinic-browser';
import { textTable } from './text-table';

/** The clinic did not do what the tour claims. */
export class TourFailedError extends Error {
  constructor(claim: string) {
    super(`The tour stopped, because the clinic did not show that ${claim}.`);
    this.name = 'TourFailedError';
  }
}

interface Visitor {
  readonly login: DemoLogin;
  readonly browser: ClinicBrowser;
}

/** Plays the story of on-behalf-of against a running clinic, over HTTP, and checks each of its claims. */
export class TourStory {
  readonly #backend: EmbeddedBackend;
  readonly #recent: RecentCalls;
  /** The login that a call was made for, by the id of the call's event. */
  readonly #callers = new Map<string, string>();
  #step = 0;

  /**
   * @param app the clinic, for what HTTP does not show: the demo logins, the requests to Medplum, and the audit events.
   * @throws ClinicSettingsError without the embedded Medplum. A real server has no demo logins, and must get no fake patients.
   */
  constructor(
    app: NestExpressApplication,
    private readonly url: string,
    private readonly print: (text: string) => void,
  ) {
    const backend = app.get(ClinicBackend);
    if (!(backend instanceof EmbeddedBackend)) {
      throw new ClinicSettingsError([`The tour needs the embedded Medplum: unset ${MEDPLUM_VARIABLES.join(', ')}.`]);
    }
    this.#backend = backend;
    this.#recent = app.get(RecentCalls);
    const logins = new Map(backend.demoLogins.map(({ membership, name }) => [membership, name]));
    app.get(MedplumAudit).events$.subscribe(({ id, onBehalfOf }) => {
      this.#callers.set(id, logins.get(onBehalfOf ?? '') ?? 'nobody');
    });
  }

  /** @throws TourFailedError at the first claim that does not hold. */
  async play(): Promise<void> {
    const nora = await this.#enter('nora');
    const hugo = await this.#enter('hugo');
    const paula = await this.#enter('paula');
    await this.#logins([nora, hugo, paula]);
    const ofHugo = await this.#lists(nora, hugo, paula);
    await this.#acrossOrganizations(nora, ofHugo);
    const created = await this.#create(nora, hugo);
    await this.#versionConflict(nora, created);
    await this.#patientWrites(paula, ofHugo);
    await this.#spoofedHeader(nora, hugo);
    await this.#undecorated(nora);
    await this.#clientApplication(nora);
    this.#auditTrail();
  }

  async #enter(name: string): Promise<Visitor> {
    const login = this.#backend.demoLogins.find((candidate) => candidate.name === name);
    if (!login) {
      throw new TourFailedError(`there is a demo login "${name}"`);
    }
    return { login, browser: new ClinicBrowser(this.url) };
  }

  async #logins(visitors: readonly Visitor[]): Promise<void> {
    this.#heading('Three people log in. A signed cookie says who they are, not what they may do.');
    for (const { login, browser } of visitors) {
      const { status } = await browser.login(login.name, login.password);
      const me = await browser.get<{ name?: string }>('/auth/me');
      this.#claim(
        status === 200 && me.body.name === login.name,
        `${login.name} (${login.role}, ${login.organization}) is in`,
      );
    }
    const wrong = await new ClinicBrowser(this.url).login('nora', 'not her password');
    this.#claim(wrong.status === 401, 'a wrong password is refused (401)');
    const stranger = await new ClinicBrowser(this.url).get('/patients');
    this.#claim(stranger.status === 401, 'nobody gets in without a login (401)');
  }

  async #lists(...[nora, hugo, paula]: [Visitor, Visitor, Visitor]): Promise<WithId<Patient>> {
    this.#heading('All three send GET /patients. The app has one client; Medplum applies the rights of each user.');
    const lists = new Map<Visitor, WithId<Patient>[]>();
    for (const visitor of [nora, hugo, paula]) {
      const { status, body } = await visitor.browser.get<WithId<Patient>[]>('/patients');
      this.#claim(status === 200 && body.length > 0, `${visitor.login.name} sees ${namesOf(body)}`);
      lists.set(visitor, body);
    }
    const idsOf = (visitor: Visitor): string[] => (lists.get(visitor) ?? []).map(({ id }) => id);
    const [ofNora, ofHugo, ofPaula] = [idsOf(nora), idsOf(hugo), idsOf(paula)];
    this.#claim(!ofNora.some((id) => ofHugo.includes(id)), 'no patient is in the lists of both organisations');
    this.#claim(ofPaula.join() === paula.login.profile.replace('Patient/', ''), 'paula finds herself and nobody else');
    return firstOf(lists.get(hugo));
  }

  async #acrossOrganizations(nora: Visitor, foreign: WithId<Patient>): Promise<void> {
    this.#heading('Nora tries the id of a patient from the other organisation.');
    const { status } = await nora.browser.get(`/patients/${foreign.id}`);
    this.#claim(status === 404, 'that patient does not exist for her (404)');
  }

  async #create(nora: Visitor, hugo: Visitor): Promise<WithId<Patient>> {
    this.#heading('Nora registers a patient.');
    const { status, body } = await nora.browser.send<WithId<Patient>>('POST', '/patients', {
      resourceType: 'Patient',
      name: [{ given: ['Homer'], family: 'Simpson' }],
      birthDate: '1956-05-12',
    });
    this.#claim(status === 201, 'the patient is created (201)');
    const { meta } = body;
    this.#claim(
      meta?.onBehalfOf?.reference === nora.login.profile,
      `meta.onBehalfOf names her: ${meta?.onBehalfOf?.display ?? 'nobody'}`,
    );
    this.#claim(
      meta?.author?.reference?.startsWith('ClientApplication/') === true,
      `meta.author names the app: ${meta?.author?.display ?? 'nobody'}`,
    );
    const seenByHugo = await hugo.browser.get(`/patients/${body.id}`);
    this.#claim(seenByHugo.status === 404, 'the patient belongs to her organisation, so hugo finds nobody (404)');
    return body;
  }

  async #versionConflict(nora: Visitor, patient: WithId<Patient>): Promise<void> {
    this.#heading('Nora changes the same version of the record in two windows.');
    const path = `/patients/${patient.id}`;
    const first = await nora.browser.send('PUT', path, { ...patient, gender: 'male' });
    this.#claim(first.status === 200, 'the first change is stored (200)');
    const second = await nora.browser.send('PUT', path, { ...patient, active: false });
    this.#claim(second.status === 412, 'the second change does not overwrite the first one (412)');
  }

  async #patientWrites(paula: Visitor, foreign: WithId<Patient>): Promise<void> {
    this.#heading('Paula, a patient, tries to write into a chart.');
    const observation: Observation = {
      resourceType: 'Observation',
      status: 'final',
      code: { text: 'Heart rate' },
      subject: { reference: paula.login.profile },
    };
    const own = await paula.browser.send('POST', '/observations', observation);
    this.#claim(own.status === 403, 'she may read her own chart, but not write into it (403)');
    const other = await paula.browser.send('POST', '/observations', {
      ...observation,
      subject: { reference: `Patient/${foreign.id}` },
    });
    this.#claim(other.status === 422, "somebody else's chart does not exist for her (422)");
  }

  async #spoofedHeader(nora: Visitor, hugo: Visitor): Promise<void> {
    this.#heading("Nora's browser sends X-Medplum-On-Behalf-Of with hugo's membership.");
    const plain = await nora.browser.get<WithId<Patient>[]>('/patients');
    const spoofed = await nora.browser.get<WithId<Patient>[]>('/patients', {
      'X-Medplum-On-Behalf-Of': hugo.login.membership,
    });
    this.#claim(
      spoofed.status === 200 && namesOf(spoofed.body) === namesOf(plain.body),
      `it changes nothing: she sees ${namesOf(spoofed.body)}`,
    );
    const sent = this.#backend.requests.at(-1);
    this.#claim(sent?.onBehalfOf === nora.login.membership, 'the request to Medplum carries her own membership');
  }

  async #undecorated(nora: Visitor): Promise<void> {
    this.#heading('GET /undecorated is a handler whose author forgot @OnBehalfOf().');
    const before = this.#backend.requests.length;
    const { status } = await nora.browser.get('/undecorated');
    this.#claim(status === 500, "it is refused (500) instead of running with the app's own rights");
    this.#claim(this.#backend.requests.length === before, 'nothing was sent to Medplum');
    const refused = this.#recent.calls.at(-1);
    this.#claim(refused?.outcome === 'refused' && refused.attempts === 0, 'the audit trail records the refusal');
  }

  async #clientApplication(nora: Visitor): Promise<void> {
    this.#heading('GET /status counts across all organisations. @AsClientApplication({ reason }) says so.');
    const before = this.#backend.requests.length;
    const { status, body } = await nora.browser.get<Record<string, number>>('/status');
    this.#claim(status === 200 && (body['organizations'] ?? 0) >= 2, `it returns ${JSON.stringify(body)}`);
    const sent = this.#backend.requests.slice(before);
    this.#claim(
      sent.length > 0 && sent.every(({ onBehalfOf }) => onBehalfOf === undefined),
      "these calls carry no on-behalf-of header, so they run with the app's own rights",
    );
  }

  #auditTrail(): void {
    this.#heading('MedplumAudit.events$ published one event per call. Logins stand in for the identities.');
    const { calls } = this.#recent;
    const headerless = calls.filter(({ attempts, attemptsOnBehalf }) => attempts > attemptsOnBehalf);
    this.print(textTable(calls.map((call) => rowOf(call, this.#callers.get(call.id)))));
    this.print('');
    this.#claim(
      headerless.every(({ identity }) => identity === 'client-application'),
      'no call went out without the header, unless the code asked for that',
    );
    this.#claim(
      calls.filter(({ outcome }) => outcome === 'refused').length === 1,
      'exactly one call was refused before it was sent',
    );
  }

  #heading(text: string): void {
    this.#step += 1;
    this.print(`\n${this.#step}. ${text}`);
  }

  #claim(holds: boolean, claim: string): void {
    if (!holds) {
      throw new TourFailedError(claim);
    }
    this.print(`   ok  ${claim}`);
  }
}

function rowOf(call: RecentCall, caller: string | undefined): Record<string, string | number | undefined> {
  return {
    for: call.identity === 'client-application' ? 'the app' : caller,
    call: call.action,
    path: call.path,
    identity: call.identity,
    sent: call.attempts,
    header: call.attempts === 0 ? undefined : call.attemptsOnBehalf === call.attempts ? 'yes' : 'no',
    outcome: call.outcome,
    status: call.status,
    ms: Math.round(call.durationMs),
  };
}

function namesOf(patients: readonly Patient[]): string {
  const names = patients.map(({ name }) => `${name?.[0]?.given?.[0] ?? ''} ${name?.[0]?.family ?? ''}`.trim());
  return names.toSorted().join(', ');
}

function firstOf<T>(list: readonly T[] | undefined): T {
  const [first] = list ?? [];
  if (first === undefined) {
    throw new TourFailedError('each organisation has patients');
  }
  return first;
}
