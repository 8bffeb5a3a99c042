import 'reflect-metadata';
import { type StormOptions, readOptions, USAGE } from './options';
import { reportStorm } from './report';
import { playStorm } from './storm';

async function main(): Promise<void> {
  let options: StormOptions;
  try {
    options = readOptions(process.argv.slice(2), process.env.STORM_SEED);
  } catch (error) {
    console.error(`${(error as Error).message}\nSee npm run storm -- --help.`);
    process.exitCode = 2;
    return;
  }
  if (options.help) {
    console.log(USAGE);
    return;
  }
  const { users, calls, seed, platforms, dispatchers } = options;
  const where = `${platforms.join(' and ')}, ${dispatchers.join(' and ')}`;
  console.log(`Storm: ${users} users, ${calls} calls, ${where}, Node ${process.version}. STORM_SEED=${seed}\n`);
  const { text, isGood } = reportStorm(await playStorm(options));
  console.log(text);
  process.exitCode = isGood ? 0 : 1;
}

void main();
