/** Who is logged in: what the session guard puts into `request.user`. */
export interface ClinicUser {
  readonly name: string;
  /** `ProjectMembership/<id>`, the identity for calls to Medplum. The server looks it up; the browser never sends it. */
  readonly membership: string;
}

/** Who may log in. */
export interface ClinicAccount extends ClinicUser {
  /** The result of `hashPassword()`. */
  readonly passwordHash: string;
}
