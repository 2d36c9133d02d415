/**
 * `npm run test:real [-- --reports FOLDER --start-within SECONDS]`: the tests on real services, part by part.
 * With a folder each part writes a report `real-<part>.json` there; after so many seconds no further part is
 * started. Exits with 1 when a part has failed; parts that were not started are listed, and are not failures.
 */
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { setUp } from '../../infra/local/setup.ts'
import { PARTS, type Part, runNode, runParts } from './parts.ts'

const LONGEST_PART_MS = 20 * 60_000

const { values } = parseArgs({
  options: { reports: { type: 'string' }, 'start-within': { type: 'string', default: 'Infinity' } },
})
const lastStartMs = performance.now() + Number(values['start-within']) * 1000

async function run({ name, extras, files }: Part): Promise<void> {
  await setUp({ extras })
  const reports =
    values.reports === undefined
      ? []
      : [
          '--reporter=default',
          '--reporter=json',
          `--outputFile.json=${join(values.reports, `real-${name}.json`)}`,
        ]
  const tests = files.map((file) => `test/real/${file}`)
  const args = ['node_modules/vitest/vitest.mjs', 'run', '--project', 'real', ...reports, ...tests]
  await runNode(args, LONGEST_PART_MS)
}

const failed = await runParts(PARTS, {
  isTimeLeft: () => performance.now() < lastStartMs,
  run,
  print: (line) => void process.stdout.write(`${line}\n`),
})
if (failed.length > 0) process.exitCode = 1
