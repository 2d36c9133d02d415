/** `cygnet demo`: five simulated runs from the DAQ's disk to the catalogue and to tape. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { styleText } from 'node:util'
import type { Command } from 'commander'
import { processEnvironment } from '../../shared/config/config.ts'
import { copyText } from '../../shared/queries/state-words.ts'
import { bytes, duration, print, printJson, printToStderr, table } from '../output.ts'
import { interruption, stackFolder } from '../settings.ts'

export function register(program: Command): void {
  program
    .command('demo')
    .description(
      'simulate a DAQ that drops five runs and show the result of each; exits 0 only if all are as expected',
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
        const environment = processEnvironment()
        const result = await runDemo({ folder, environment, signal, onProgress: printToStderr })
        if (options.json === true) printJson(result)
        else print(render(result))
        if (!result.ok) process.exitCode = 1
      } finally {
        if (options.keep !== true) rmSync(folder, { recursive: true, force: true })
        else printToStderr(`kept: ${folder}`)
      }
    })
}

const NEXT_STEP = `Next: npm start            runs the same system until Ctrl-C, with the web catalogue and commands to try it`

type Result = Awaited<ReturnType<typeof import('../demo/run-demo.ts').runDemo>>

function render(result: Result): string {
  const good = (ok: boolean) => (ok ? styleText('green', 'as expected') : styleText('red', 'WRONG'))
  const rows = result.runs.map((run) => [
    run.runNumber,
    run.story,
    run.eventCount,
    bytes(run.sizeBytes),
    run.adler32,
    run.integrity,
    run.latencySeconds === null ? '-' : duration(run.latencySeconds),
    run.tape === 'on-media' ? `${copyText(run.tape)} (${run.tapeVerifiedBy})` : run.tape,
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
      ['run', 'kind of run', 'events', 'size', 'adler32', 'checksums', 'PUT → row', 'tape', 'next requests'],
      rows,
    ),
    '',
    ...ends,
    '',
    ...result.alerts.map(({ channel, rule, summary }) => `alert in ${channel}: ${rule}, ${summary}`),
    '',
    `waiting in the queues: ${queues.join(', ')}`,
    `${result.ok ? styleText('green', 'All five runs ended as expected.') : styleText('red', 'Some runs did not end as expected.')} ${duration(result.seconds)} in all.`,
    ...(result.ok ? ['', NEXT_STEP] : []),
  ].join('\n')
}
