import { BadRequestException, Injectable, type PipeTransform } from '@nestjs/common';

/** Body of a login. */
export interface Login {
  readonly name: string;
  readonly password: string;
}

const MAX_LENGTH = 200;

/** Accepts only a name and a password of limited length, so that nobody can keep scrypt busy with a huge body. */
@Injectable()
export class LoginPipe implements PipeTransform<unknown, Login> {
  /** @throws BadRequestException */
  transform(body: unknown): Login {
    const { name, password } = (typeof body === 'object' && body !== null ? body : {}) as Record<string, unknown>;
    if (!isText(name) || !isText(password)) {
      throw new BadRequestException(
        `The body is not a login. Send JSON with "name" and "password", each a text of 1 to ${MAX_LENGTH} characters.`,
      );
    }
    return { name, password };
  }
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length > 0 && value.length <= MAX_LENGTH;
}
