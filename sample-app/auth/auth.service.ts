import { Injectable } from '@nestjs/common';
import { ClinicBackend } from '../backend/clinic.backend';
import type { ClinicAccount, ClinicUser } from './clinic-account';
import { hashOfNobody, verifyPassword } from './password.hash';

/** Knows who may log in. */
@Injectable()
export class AuthService {
  readonly #accounts: ReadonlyMap<string, ClinicAccount>;
  readonly #hashOfNobody = hashOfNobody();

  constructor(backend: ClinicBackend) {
    this.#accounts = new Map(backend.accounts.map((account) => [account.name, account]));
  }

  /** Finds the user with this name and password. An unknown name takes as long as a wrong password. */
  async verify(name: string, password: string): Promise<ClinicUser | undefined> {
    const account = this.#accounts.get(name);
    const matches = await verifyPassword(password, account?.passwordHash ?? this.#hashOfNobody);
    return matches ? this.find(name) : undefined;
  }

  /** Finds the user with this name, without the hash. */
  find(name: string): ClinicUser | undefined {
    const account = this.#accounts.get(name);
    return account && { name: account.name, membership: account.membership };
  }
}
