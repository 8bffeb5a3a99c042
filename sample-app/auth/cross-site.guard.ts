import {
  type CanActivate,
  type ExecutionContext,
  ForbiddenException,
  Injectable,
  UnsupportedMediaTypeException,
} from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { BODY_TYPES } from './body-types.decorator';
import type { ClinicRequest } from './clinic-request';

/** RFC 9110 section 9.2.1: these change nothing. */
const SAFE_METHODS: readonly string[] = ['GET', 'HEAD', 'OPTIONS'];
const OWN_SITES: readonly unknown[] = [undefined, 'same-origin', 'none'];
const DEFAULT_BODY_TYPES: readonly string[] = ['application/json'];

/**
 * Guards every handler that changes something against requests that another site makes a browser send. `SameSite` keeps
 * the session cookie out of such requests, but it does not stop a login, and it counts sibling domains as the same site.
 */
@Injectable()
export class CrossSiteGuard implements CanActivate {
  constructor(private readonly reflector: Reflector) {}

  /**
   * @throws ForbiddenException if the browser says that another site sent the request.
   * @throws UnsupportedMediaTypeException for a type of body that a form of any site can send, and all others but JSON.
   */
  canActivate(context: ExecutionContext): boolean {
    const request = context.switchToHttp().getRequest<ClinicRequest>();
    if (SAFE_METHODS.includes(request.method)) {
      return true;
    }
    if (!isOwnSite(request) || !isOwnOrigin(request)) {
      throw new ForbiddenException('The request comes from another site. Send it from the site of the clinic.');
    }
    const types =
      this.reflector.getAllAndOverride<readonly string[] | undefined>(BODY_TYPES, [
        context.getHandler(),
        context.getClass(),
      ]) ?? DEFAULT_BODY_TYPES;
    if (!hasNoBody(request) && !types.includes(mediaTypeOf(request))) {
      throw new UnsupportedMediaTypeException(`The body has the wrong type. Send it as ${types.join(' or ')}.`);
    }
    return true;
  }
}

/** `none` means that the user did it, for example with a bookmark. Old browsers and other programs send no such header. */
function isOwnSite({ headers }: ClinicRequest): boolean {
  return OWN_SITES.includes(headers['sec-fetch-site']);
}

/** Browsers send `Origin` with every cross-site request that changes something. Other programs send none. */
function isOwnOrigin({ headers, protocol, host }: ClinicRequest): boolean {
  return headers.origin === undefined || headers.origin === `${protocol}://${host}`;
}

function hasNoBody({ headers }: ClinicRequest): boolean {
  return (
    headers['content-type'] === undefined &&
    headers['transfer-encoding'] === undefined &&
    Number(headers['content-length'] ?? 0) === 0
  );
}

function mediaTypeOf({ headers }: ClinicRequest): string {
  return (headers['content-type'] ?? '').split(';', 1).join('').trim().toLowerCase();
}
