import type { ProjectMembership } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { BasicCredentials } from '../../../http/basic-credentials';
import { WireFailure } from '../../../http/wire';
import type { BaseUrl } from '../../../shared/base-url';
import type { ServerSettings } from '../doctor-settings';
import type { ProbeRequest, ProbeResponse, ServerProbe } from './server-probe';

/** How a Medplum behaves where releases differ: `5.2` stands for 5.1 and later. */
export type BehaviourLine = '5.0' | '5.2';

/** What the server said about the client itself. It never holds the secret, which the server sends as well. */
export interface ClientFacts {
  readonly membershipId: string | undefined;
  readonly admin: boolean;
  readonly active: boolean;
  readonly hasPolicy: boolean;
}

/** What the checks of the server know and find out. Each check states in `skip` what it needs. */
export class ServerContext {
  readonly settings: ServerSettings;
  readonly probe: ServerProbe;
  /** The configured address, as far as it can be read. */
  address: BaseUrl | undefined;
  /** Why nothing can be sent to the address. */
  unreachable: string | undefined;
  /** Whether the address may not get credentials, because it is http:// and not loopback. */
  insecure = false;
  /** The base URL at which Medplum responds, on the configured origin. Only then are credentials sent. */
  baseUrl: BaseUrl | undefined;
  /** Full version, such as `5.0.10`. */
  version: string | undefined;
  line: BehaviourLine | undefined;
  /** Whether the server says that its database and cache work. */
  serverWorks = true;
  client: ClientFacts | undefined;
  /** The one membership that the identity means. */
  membership: ProjectMembership | undefined;
  /** The last response of Medplum. */
  last: ProbeResponse | undefined;

  constructor(settings: ServerSettings, probe: ServerProbe) {
    this.settings = settings;
    this.probe = probe;
  }

  /** Why the later checks would be pointless. */
  get noServer(): string | undefined {
    if (this.baseUrl) {
      return undefined;
    }
    return (
      this.unreachable ?? (this.insecure ? 'http:// would send the client secret in clear' : 'there is no base URL')
    );
  }

  /** Why checks with the rights of the client would be pointless. */
  get noClient(): string | undefined {
    return this.noServer ?? (this.client ? undefined : 'the credentials of the client are not known to work');
  }

  /** Why the identity cannot be checked. */
  get noIdentity(): string | undefined {
    if (this.settings.onBehalfOf === undefined) {
      return 'no identity was named (--membership, --on-behalf-of)';
    }
    return this.noClient ?? (this.client?.admin ? undefined : 'the client is not a project admin');
  }

  /** Sends a request to Medplum as the client. */
  async asClient(path: string, onBehalfOf?: string): Promise<ProbeResponse | WireFailure> {
    const { clientId, clientSecret } = this.settings;
    if (!this.baseUrl || !clientId || !clientSecret) {
      throw new TypeError('The check must be skipped: the base URL and the credentials are not known.');
    }
    const authorization = await new BasicCredentials(clientId.value, clientSecret.value).authorization();
    return this.send(this.baseUrl, path, { authorization, ...(onBehalfOf !== undefined && { onBehalfOf }) });
  }

  /** Sends a request, and keeps its response for the checks of clock and quota. */
  async send(base: BaseUrl, path: string, request?: ProbeRequest): Promise<ProbeResponse | WireFailure> {
    const response = await this.probe.send(base, path, request);
    if (!(response instanceof WireFailure)) {
      this.last = response;
    }
    return response;
  }
}
