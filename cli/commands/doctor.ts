/** `cygnet doctor`: lists the programs that this machine has, those that are missing, and how to install them. */
import { styleText } from 'node:util'
import type { Command } from 'commander'
import { print, printJson } from '../output.ts'
import { stackFolder } from '../settings.ts'

export function register(program: Command): void {
  program
    .command('doctor')
    .description('check which programs this machine has and how to install the missing ones')
    .option('--json', 'one JSON array')
    .action(async (options: { json?: boolean }) => {
      const { diagnose } = await import('../../infra/local/doctor.ts')
      const findings = await diagnose({ dataFolder: stackFolder() })
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
