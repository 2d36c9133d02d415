/** `cygnet demo`: five runs from the DAQ's disk to the catalogue and to tape, before your eyes. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { styleText } from 'node:util'
import type { Command } from 'commander'
import { bytes, duration, print, printJson, table, tell } from '../output.ts'
import { interruption, stackFolder } from '../settings.ts'

export function register(program: Command): void {
  program
    .command('demo')
    .description(
      'simulate a DAQ that drops five runs and show what becomes of each; exits 0 only if all is right',
    )
    .option('--json', 'print the result as one JSON object')
    .option('--keep', 'keep the folder with the database, objects and logs')
    .action(async (options: { json?: boolean; keep?: boolean }) => {
      const [{ setUp }, { runDemo }] = await Promise.all([
        import('../../infra/local/setup.ts'),
        import('../demo/run-demo.ts'),
      ])
      const signal = interruption()
      await setUp({ extras: [], signal })
      const folder =
        options.keep === true ? join(stackFolder(), 'demo') : mkdtempSync(join(tmpdir(), 'cygnet-demo-'))
      try {
        const result = await runDemo({ folder, signal, onProgress: tell })
        if (options.json === true) printJson(result)
        else print(render(result))
        if (!result.ok) process.exitCode = 1
      } finally {
        if (options.keep !== true) rmSync(folder, { recursive: true, force: true })
        else tell(`kept: ${folder}`)
      }
    })
}

type Result = Awaited<ReturnType<typeof import('../demo/run-demo.ts').runDemo>>

function render(result: Result): string {
  const good = (ok: boolean) => (ok ? styleText('green', 'as it should') : styleText('red', 'WRONG'))
  const rows = result.runs.map((run) => [
    run.runNumber,
    run.story,
    run.eventCount,
    bytes(run.sizeBytes),
    run.adler32,
    run.integrity,
    run.latencySeconds === null ? '-' : duration(run.latencySeconds),
    run.tape === 'on-media' ? `verified (${run.tapeVerifiedBy})` : run.tape,
    run.requests.filter((queue) => queue !== 'tape-requests').join(', ') || 'none',
  ])
  const ends = result.runs.map(
    (run) =>
      `${run.runNumber} ended ${good(run.ok)}${run.ok ? '' : `: ${run.wrong.join('; ')}`}${run.problem === null ? '' : `; ${run.problem}`}`,
  )
  const queues = Object.entries(result.queues).map(([queue, waiting]) => `${queue} ${waiting}`)
  return [
    '',
    table(
      [
        'run',
        'what it is',
        'events',
        'size',
        'adler32',
        'checksums',
        'PUT → row',
        'on tape',
        'asked for next',
      ],
      rows,
    ),
    '',
    ...ends,
    '',
    `waiting in the queues: ${queues.join(', ')}`,
    `${result.ok ? styleText('green', 'All five runs ended where they should.') : styleText('red', 'Not every run ended where it should.')} ${duration(result.seconds)} in all.`,
  ].join('\n')
}
