import type { Request } from 'express';
import type { ClinicUser } from './clinic-account';

/** A request on its way through the clinic. */
export interface ClinicRequest extends Request {
  /** Set by the session guard, and by nothing that a browser sends. */
  user?: ClinicUser;
}
