import type { Request } from 'express';
import type { ClinicUser } from './clinic-account';

/** A request on its way through the clinic. */
export interface ClinicRequest extends Request {
  /** Only the session guard sets it. Nothing that a browser sends can. */
  user?: ClinicUser;
}
