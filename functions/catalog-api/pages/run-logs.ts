/** Log lines of a local stack's functions about a run. Elsewhere the platform stores the logs. */
import { open, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import * as z from 'zod'
import type { RunId } from '../../../shared/run.ts'

export interface LogLine {
  readonly time: string
  readonly level: string
  readonly function: string
  readonly event: string
  /** The error message; null if there is none. */
  readonly error: string | null
  /** All other fields; those of nested objects as `error.code`. */
  readonly fields: readonly (readonly [name: string, value: string])[]
}

const logLine = z.looseObject({
  time: z.string(),
  level: z.string().default('info'),
  function: z.string().default(''),
  event: z.string().default(''),
  run: z.number(),
  tag: z.string().optional(),
  error: z.looseObject({ message: z.string() }).optional().catch(undefined),
})

/** Only this much of the end of each file is read. */
const READ_BYTES = 2 * 1024 * 1024
const MOST_LINES = 200

/** The last lines about the run, in chronological order; none if the folder cannot be read. */
export async function logLinesOf(folder: string, run: RunId): Promise<readonly LogLine[]> {
  const names = await readdir(folder).catch(() => [])
  const files = names.filter((name) => /^[a-z-]+([0-9]+)?[.]log([.]1)?$/.test(name))
  const lines: LogLine[] = []
  for (const name of files) {
    const text = await endOf(join(folder, name)).catch(() => '')
    // Most lines are about other runs: these are not parsed.
    const about = text.split('\n').filter((line) => line.includes(`"run":${run.runNumber}`))
    lines.push(...about.flatMap((line) => parseLine(line, run)))
  }
  return lines.toSorted((a, b) => (a.time < b.time ? -1 : 1)).slice(-MOST_LINES)
}

function parseLine(text: string, { tag, runNumber }: RunId): readonly LogLine[] {
  const parsed = logLine.safeParse(jsonOf(text))
  if (!parsed.success) return []
  const { time, level, function: name, event, run, tag: ofTag, error, ...more } = parsed.data
  if (run !== runNumber || (ofTag !== undefined && ofTag !== tag)) return []
  const { message = null, ...cause } = error ?? {}
  return [
    {
      time,
      level,
      function: name,
      event,
      error: message,
      fields: fieldsOf(error === undefined ? more : { ...more, error: cause }),
    },
  ]
}

function fieldsOf(value: object, path = ''): LogLine['fields'] {
  return Object.entries(value).flatMap(([key, inner]: [string, unknown]) => {
    const name = `${path}${key}`
    if (typeof inner === 'object' && inner !== null && !Array.isArray(inner))
      return fieldsOf(inner, `${name}.`)
    return [[name, typeof inner === 'string' ? inner : JSON.stringify(inner)] as const]
  })
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

async function endOf(path: string): Promise<string> {
  const file = await open(path)
  try {
    const { size } = await file.stat()
    const from = Math.max(0, size - READ_BYTES)
    const { buffer, bytesRead } = await file.read(Buffer.alloc(size - from), 0, size - from, from)
    return buffer.toString('utf8', 0, bytesRead)
  } finally {
    await file.close()
  }
}
