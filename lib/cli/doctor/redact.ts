/** Shorter texts are words that also occur elsewhere: replacing those would show what the secret is. */
const MIN_LENGTH = 8;

/**
 * Replaces the secrets in a report. No check writes one. This is the second line of defence, for a secret that was given
 * in the place of another value, such as the host of the base URL.
 */
export function redacted(report: string, clientId: string | undefined, secret: string | undefined): string {
  if (secret === undefined || secret.trim().length < MIN_LENGTH) {
    return report;
  }
  const plain = secret.trim();
  const pair = `${clientId ?? ''}:${secret}`;
  const forms = [plain, encodeURIComponent(plain), JSON.stringify(plain).slice(1, -1), base64(plain), base64(pair)];
  const pattern = forms.map((form) => form.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('|');
  // URLs write hosts in lower case.
  return report.replaceAll(new RegExp(pattern, 'gi'), '[secret]');
}

function base64(value: string): string {
  return Buffer.from(value, 'utf8').toString('base64').replace(/=+$/, '');
}
