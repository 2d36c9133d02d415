/**
 * A line for every file that is removed from the DAQ's disk, on the disk before the file goes, and a line
 * with what came of it. It is never shortened. What was begun under a permission and not told of is found in
 * it after a kill.
 */
import {
  appendFileSync,
  closeSync,
  createReadStream,
  mkdirSync,
  openSync,
  readSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { createInterface } from 'node:readline'
import * as z from 'zod'
import { isDiskFull } from '../push/lock.ts'

const schema = z.object({
  at: z.string(),
  /** `told`: the catalogue knows what came of the permission. */
  state: z.enum(['intended', 'deleted', 'not-deleted', 'told']),
  path: z.string(),
  bucket: z.string(),
  key: z.string(),
  sizeBytes: z.int(),
  sha256: z.string(),
  /** What made it safe, or why it was not done after all. */
  why: z.string(),
  /** Of the API, where it was asked for one. */
  permission: z.int().optional(),
})
export type DeletionRecord = Readonly<z.infer<typeof schema>>

/** What was begun under a permission. */
export type Untold = DeletionRecord & { readonly permission: number }

export interface DeletionLog {
  /** Returns when the line is on the disk. Throws what the file system says. */
  append(record: DeletionRecord): void
  /** The last line of each removal whose end the catalogue was not told of, also by programs before. */
  untold(): Promise<readonly Untold[]>
}

/**
 * Room that is kept for this log: on a full disk its lines are what stands between the disk and the space
 * that it needs.
 */
const RESERVE_BYTES = 256 * 1024

export function openDeletionLog(path: string, append: typeof appendFileSync = appendFileSync): DeletionLog {
  const reserve = `${path}.reserve`
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  keepReserve(reserve)
  let before: Map<string, Untold> | null = null
  const since: DeletionRecord[] = []
  // A line that was cut by a kill must not swallow the next one.
  let isCut = endsInALine(path)
  return {
    append(record) {
      const line = `${isCut ? '\n' : ''}${JSON.stringify(record)}\n`
      const options = { mode: 0o600, flush: true }
      try {
        append(path, line, options)
      } catch (error) {
        isCut = true
        if (!isDiskFull(error)) throw error
        rmSync(reserve, { force: true })
        append(path, `\n${line}`, options)
      }
      isCut = false
      if (record.permission !== undefined) since.push(record)
      if (record.state === 'deleted') keepReserve(reserve)
    },
    async untold() {
      before ??= await read(path)
      for (const record of since.splice(0)) take(before, record)
      return [...before.values()]
    },
  }
}

function endsInALine(path: string): boolean {
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0
  if (size === 0) return false
  const descriptor = openSync(path, 'r')
  try {
    const last = Buffer.alloc(1)
    readSync(descriptor, last, 0, 1, size - 1)
    return last.toString() !== '\n'
  } finally {
    closeSync(descriptor)
  }
}

/** Permissions are numbered by each catalogue for itself. */
const nameOf = ({ permission, bucket, key }: Untold) => `${permission} ${bucket}/${key}`

function take(untold: Map<string, Untold>, record: DeletionRecord): void {
  const { permission } = record
  if (permission === undefined) return
  const one = { ...record, permission }
  if (record.state === 'told') untold.delete(nameOf(one))
  else untold.set(nameOf(one), one)
}

/** Line by line: it may have grown for years. */
async function read(path: string): Promise<Map<string, Untold>> {
  const untold = new Map<string, Untold>()
  if (statSync(path, { throwIfNoEntry: false }) === undefined) return untold
  for await (const line of createInterface({ input: createReadStream(path, 'utf8') })) {
    const record = line.includes('"permission"') ? parse(line) : null
    if (record !== null) take(untold, record)
  }
  return untold
}

function parse(line: string): DeletionRecord | null {
  try {
    return schema.safeParse(JSON.parse(line)).data ?? null
  } catch {
    return null // cut by a kill
  }
}

function keepReserve(path: string): void {
  try {
    if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) < RESERVE_BYTES)
      writeFileSync(path, Buffer.alloc(RESERVE_BYTES, 1))
  } catch {
    rmSync(path, { force: true }) // half of it would not help; tried again after the next deletion
  }
}
