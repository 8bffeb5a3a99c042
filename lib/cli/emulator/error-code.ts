/** The code of an error of the file system, such as `EACCES`. Its message would repeat the path. */
export function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
}
