/** Who is logged in: what the session guard puts into `request.user`. */
export interface ClinicUser {
  readonly name: string;
  /** `ProjectMembership/<id>`: whom Medplum is called on behalf of. The server looks it up, the browser never sends it. */
  readonly membership: string;
}

/** Who may log in. */
export interface ClinicAccount extends ClinicUser {
  /** As `hashPassword()` writes it. */
  readonly passwordHash: string;
}
