/**
 * `cygnet doctor`: lists the programs that this machine has, those that are missing, and how to install them; where
 * a store is configured, whether it takes a first object.
 */
import { styleText } from 'node:util'
import type { Command } from 'commander'
import type { Diagnosis } from '../../infra/local/doctor.ts'
import { InvalidInputError } from '../../shared/errors.ts'
import { print, printJson } from '../output.ts'
import { loadStoreSettings, stackFolder } from '../settings.ts'

export function register(program: Command): void {
  program
    .command('doctor')
    .description(
      'check which programs this machine has, how to install the missing ones, and a first write to the store',
    )
    .option('--json', 'one JSON array')
    .action(async (options: { json?: boolean }) => {
      const { diagnose } = await import('../../infra/local/doctor.ts')
      const findings = [...(await diagnose({ dataFolder: stackFolder() })), ...(await checkConfiguredStore())]
      if (options.json === true) printJson(findings)
      else
        for (const { name, ok, found, neededFor, remedy } of findings) {
          print(
            `${ok ? styleText('green', 'ok     ') : styleText('yellow', 'missing')} ${name.padEnd(12)} ${found}  (${neededFor})`,
          )
          if (remedy !== null) print(`        ${' '.repeat(12)} ${remedy}`)
        }
      if (findings.some((finding) => !finding.ok && finding.required)) process.exitCode = 1
    })
}

/** Not required: other commands need no store. */
async function checkConfiguredStore(): Promise<readonly Diagnosis[]> {
  try {
    const config = await loadStoreSettings()
    const { checkStore } = await import('../doctor/check-store.ts')
    return await checkStore(config)
  } catch (error) {
    if (!(error instanceof InvalidInputError)) throw error
    const neededFor = 'a first write to the store'
    return [
      { name: 'store', ok: false, required: false, found: 'not tested', neededFor, remedy: error.message },
    ]
  }
}
