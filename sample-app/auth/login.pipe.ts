import { BadRequestException, Injectable, type PipeTransform } from '@nestjs/common';

/** Body of a login. */
export interface Login {
  readonly name: string;
  readonly password: string;
}

const LONGEST = 200;

/** Lets only two texts through: scrypt should not chew on whatever is sent. */
@Injectable()
export class LoginPipe implements PipeTransform<unknown, Login> {
  /** @throws BadRequestException */
  transform(body: unknown): Login {
    const { name, password } = (typeof body === 'object' && body !== null ? body : {}) as Record<string, unknown>;
    if (!isText(name) || !isText(password)) {
      throw new BadRequestException(
        `A login is JSON with "name" and "password", each text of 1 to ${LONGEST} characters.`,
      );
    }
    return { name, password };
  }
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length > 0 && value.length <= LONGEST;
}
