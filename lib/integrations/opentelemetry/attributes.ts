import type { Attributes } from '@opentelemetry/api';
import type { TracedCall } from '../../http/call-tracing';
import { knownType, safeTemplate } from '../../shared/known-types';

/**
 * The names of the attributes of spans and metrics. The first group comes from OpenTelemetry's semantic conventions for
 * HTTP (1.23 and later). Addresses (`url.full`, `url.path`, `url.query`) are left out, because they identify records.
 */
export const ATTRIBUTE = {
  method: 'http.request.method',
  status: 'http.response.status_code',
  resends: 'http.request.resend_count',
  error: 'error.type',
  server: 'server.address',
  port: 'server.port',
  scheme: 'url.scheme',
  template: 'url.template',

  client: 'medplum.client',
  action: 'medplum.action',
  resourceType: 'medplum.resource_type',
  operation: 'medplum.operation',
  identitySource: 'medplum.identity_source',
  effect: 'medplum.effect',
  attempt: 'medplum.attempt',
  retryReason: 'medplum.retry.reason',
  quota: 'medplum.quota',
} as const;

/** Default ports, for URLs that name no port (RFC 9110 section 4.2). */
const PORTS: Readonly<Record<string, number>> = { 'http:': 80, 'https:': 443 };

/** Drops the attributes whose value is `undefined`. */
export function present(attributes: Attributes): Attributes {
  return Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== undefined));
}

/** The name of a call's span: its method and path template, never its address. */
export function nameOf({ method, pathTemplate }: TracedCall): string {
  return `${method} ${safeTemplate(pathTemplate)}`;
}

/** The attributes that the span of a call has from its start. */
export function spanAttributes(call: TracedCall): Attributes {
  const { protocol, hostname, port } = new URL(call.origin);
  return present({
    [ATTRIBUTE.method]: call.method,
    [ATTRIBUTE.template]: safeTemplate(call.pathTemplate),
    [ATTRIBUTE.server]: hostname,
    [ATTRIBUTE.port]: port === '' ? PORTS[protocol] : Number(port),
    [ATTRIBUTE.scheme]: protocol.slice(0, -1),
    [ATTRIBUTE.client]: call.client,
    [ATTRIBUTE.action]: call.action,
    [ATTRIBUTE.resourceType]: knownType(call.resourceType),
    [ATTRIBUTE.operation]: call.operation,
    [ATTRIBUTE.identitySource]: call.identitySource,
  });
}

/** The attributes of a call's metrics. Each has only a few possible values. */
export function metricAttributes(call: TracedCall): Attributes {
  return present({
    [ATTRIBUTE.client]: call.client,
    [ATTRIBUTE.action]: call.action,
    [ATTRIBUTE.resourceType]: knownType(call.resourceType),
  });
}
