/** The real logger, whose lines are recorded and not written. */
import { createLogger, type Logger } from '../../../shared/log.ts'

export type LogLine = Readonly<Record<string, unknown>> & { readonly event: string; readonly level: string }

export function recordingLog(): {
  readonly log: Logger
  readonly lines: readonly LogLine[]
  readonly text: () => string
} {
  const lines: LogLine[] = []
  const log = createLogger({
    function: 'test',
    level: 'debug',
    destination: { write: (line) => lines.push(JSON.parse(line)) },
  })
  return { log, lines, text: () => lines.map((line) => JSON.stringify(line)).join('\n') }
}
