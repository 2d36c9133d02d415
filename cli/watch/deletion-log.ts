/**
 * The log of deletions from the DAQ's disk: a line before each removal, written to the disk first, and a line
 * with its outcome. It is never truncated. After a kill it has the removals whose outcome was not reported.
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
  /** `told`: the outcome of the permission was reported to the catalogue. */
  state: z.enum(['intended', 'deleted', 'not-deleted', 'told']),
  path: z.string(),
  bucket: z.string(),
  key: z.string(),
  sizeBytes: z.int(),
  sha256: z.string(),
  /** Why the removal is safe, or why it was not done. */
  why: z.string(),
  /** The id of the API's permission, if there is one. */
  permission: z.int().optional(),
})
export type DeletionRecord = Readonly<z.infer<typeof schema>>

/** The last record of a removal with a permission. */
export type UnreportedRemoval = DeletionRecord & { readonly permission: number }

export interface DeletionLog {
  /** Returns when the line is on the disk. Throws the error of the file system. */
  append(record: DeletionRecord): void
  /** The last record of each removal whose outcome was not reported, also of earlier processes. */
  unreported(): Promise<readonly UnreportedRemoval[]>
}

/**
 * Space reserved for this log: on a full disk, files can be removed only if their lines can be written.
 */
const RESERVE_BYTES = 256 * 1024

export function openDeletionLog(path: string, append: typeof appendFileSync = appendFileSync): DeletionLog {
  const reserve = `${path}.reserve`
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  keepReserve(reserve)
  let before: Map<string, UnreportedRemoval> | null = null
  const since: DeletionRecord[] = []
  // After a line that a kill has cut, the next one needs a new line.
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
    async unreported() {
      before ??= await read(path)
      for (const record of since.splice(0)) apply(before, record)
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

/** The ids of permissions are unique only within a catalogue. */
const nameOf = ({ permission, bucket, key }: UnreportedRemoval) => `${permission} ${bucket}/${key}`

function apply(unreported: Map<string, UnreportedRemoval>, record: DeletionRecord): void {
  const { permission } = record
  if (permission === undefined) return
  const one = { ...record, permission }
  if (record.state === 'told') unreported.delete(nameOf(one))
  else unreported.set(nameOf(one), one)
}

/** Reads line by line: the log grows for years. */
async function read(path: string): Promise<Map<string, UnreportedRemoval>> {
  const unreported = new Map<string, UnreportedRemoval>()
  if (statSync(path, { throwIfNoEntry: false }) === undefined) return unreported
  for await (const line of createInterface({ input: createReadStream(path, 'utf8') })) {
    const record = line.includes('"permission"') ? parse(line) : null
    if (record !== null) apply(unreported, record)
  }
  return unreported
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
    rmSync(path, { force: true }) // a part of it does not help; repeated after the next deletion
  }
}
