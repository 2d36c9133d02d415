/** `cygnet logs`: the functions' log lines of the local stack, filtered. */
import { existsSync, readdirSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { styleText } from 'node:util'
import type { Command } from 'commander'
import { readManifest } from '../../infra/local/manifest.ts'
import { InvalidInputError } from '../../shared/errors.ts'
import { parseRunNumber } from '../arguments.ts'
import { print } from '../output.ts'
import { interruption, stackFolder } from '../settings.ts'

interface Options {
  readonly function?: string
  readonly run?: number
  readonly key?: string
  readonly level?: string
  readonly follow?: boolean
  readonly json?: boolean
}

type LogLine = Readonly<Record<string, unknown>> & {
  readonly level?: string
  readonly time?: string
  readonly event?: string
  readonly function?: string
}

const LEVELS = ['debug', 'info', 'warn', 'error']
const FOLLOW_MS = 200

export function register(program: Command): void {
  program
    .command('logs')
    .description("print the functions' log lines in order of time")
    .option('--function <name>', 'only this function')
    .option('--run <number>', 'only lines about this run', parseRunNumber)
    .option('--key <text>', 'only lines whose object key contains this')
    .option('--level <level>', 'only lines of this level or higher: debug, info, warn, error')
    .option('--follow', 'print new lines as they are written, until Ctrl-C')
    .option('--json', 'the lines as they were written')
    .addHelpText('after', '\nExample: cygnet logs --run 12345')
    .action(async (options: Options) => {
      const files = logFiles(options)
      const offsets = new Map<string, number>()
      const signal = interruption()
      do {
        const lines: { line: LogLine; text: string }[] = []
        for (const file of files) lines.push(...(await newLines(file, offsets)))
        lines.sort((a, b) => String(a.line.time).localeCompare(String(b.line.time)))
        for (const { line, text } of lines)
          if (matches(line, options)) print(options.json === true ? text : render(line))
        if (options.follow === true) await sleep(FOLLOW_MS, undefined, { signal }).catch(() => {})
      } while (options.follow === true && !signal.aborted)
    })
}

function logFiles(options: Options): readonly string[] {
  const folder = join(stackFolder(), 'logs')
  const functions = readManifest().functions.map((entry) => entry.name)
  if (options.function !== undefined && !functions.includes(options.function))
    throw new InvalidInputError(`there is no function ${options.function}; there are ${functions.join(', ')}`)
  if (options.level !== undefined && !LEVELS.includes(options.level))
    throw new InvalidInputError(`the level is one of ${LEVELS.join(', ')}`)
  if (!existsSync(folder))
    throw new InvalidInputError('there are no logs yet; start the local stack with: npm start')
  const wanted = options.function === undefined ? functions : [options.function]
  const present = readdirSync(folder)
  return wanted
    .flatMap((name) => [`${name}.log.1`, `${name}.log`])
    .flatMap((name) => (present.includes(name) || name.endsWith('.log') ? [join(folder, name)] : []))
}

/**
 * Complete lines written since the last call. Text that is not JSON (the stack of a crash) is returned as a
 * line of its own.
 */
async function newLines(
  path: string,
  offsets: Map<string, number>,
): Promise<{ line: LogLine; text: string }[]> {
  if (!existsSync(path)) return []
  const file = await open(path)
  try {
    const { size } = await file.stat()
    const from = Math.min(offsets.get(path) ?? 0, size)
    const { buffer, bytesRead } = await file.read(Buffer.alloc(size - from), 0, size - from, from)
    const end = buffer.subarray(0, bytesRead).lastIndexOf(0x0a) + 1
    offsets.set(path, from + end)
    return buffer
      .subarray(0, end)
      .toString('utf8')
      .split('\n')
      .filter(Boolean)
      .map((text) => ({ text, line: parse(text) }))
  } finally {
    await file.close()
  }
}

function parse(text: string): LogLine {
  try {
    return JSON.parse(text)
  } catch {
    return { level: 'error', event: text }
  }
}

function matches(line: LogLine, options: Options): boolean {
  if (options.run !== undefined && line.run !== options.run) return false
  if (options.key !== undefined && !String(line.key ?? '').includes(options.key)) return false
  return options.level === undefined || LEVELS.indexOf(line.level ?? 'info') >= LEVELS.indexOf(options.level)
}

const COLOURS = { debug: 'gray', info: 'green', warn: 'yellow', error: 'red' } as const

function render(line: LogLine): string {
  const { level = 'info', time = '', event = '', function: name = '', ...fields } = line
  const shown = Object.entries(fields).map(
    ([field, value]) => `${field}=${typeof value === 'object' ? JSON.stringify(value) : value}`,
  )
  const colour = COLOURS[level as keyof typeof COLOURS] ?? 'white'
  return `${time.slice(11, 23)} ${styleText(colour, level.padEnd(5))} ${name.padEnd(20)} ${styleText('bold', event)} ${shown.join(' ')}`
}
