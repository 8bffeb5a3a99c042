import cookieSession from 'cookie-session';
import type { RequestHandler } from 'express';
import type { ClinicConfig } from '../config/clinic.config';
import type { ClinicUser } from './clinic-account';
import type { ClinicRequest } from './clinic-request';

const LIFETIME_MS = 8 * 60 * 60 * 1000;

/** Keeps the session in a signed cookie that scripts cannot read and other sites cannot send. */
export function sessionCookie(settings: ClinicConfig): RequestHandler {
  return cookieSession({
    name: 'clinic',
    keys: [settings.sessionSecret],
    httpOnly: true,
    sameSite: 'strict',
    secure: settings.production,
    maxAge: LIFETIME_MS,
  });
}

/** Starts a session. The cookie is signed, but not secret. It names the login, but not what the user may do. */
export function openSession(request: ClinicRequest, user: ClinicUser): void {
  request.session = { login: user.name, expiresAt: Date.now() + LIFETIME_MS };
}

/** Clears the session in this browser. A stolen copy of the cookie works until it expires. */
export function closeSession(request: ClinicRequest): void {
  request.session = null;
}

/** The name that is logged in. Only browsers obey the cookie's `maxAge`, so the server checks the time as well. */
export function loginOf({ session }: ClinicRequest): string | undefined {
  const { login, expiresAt } = (session ?? {}) as { readonly login?: unknown; readonly expiresAt?: unknown };
  return typeof login === 'string' && typeof expiresAt === 'number' && Date.now() < expiresAt ? login : undefined;
}
