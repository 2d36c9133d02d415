/**
 * Choosing runs by where they are: the words of `summarizeStorage`, in SQL. A run has the most urgent word of its files: one of them
 * has it and none has a more urgent one.
 */
import { type RawBuilder, sql } from 'kysely'
import type { ReplicaState } from './replica-schema.ts'

export const CLOUD_WORDS = ['present', 'deleted', 'partly', 'absent', 'suspicious'] as const
export const TAPE_WORDS = ['on-media', 'under-way', 'none', 'failed'] as const

export type StorageCondition =
  | { readonly place: 'cloud'; readonly is: (typeof CLOUD_WORDS)[number] }
  | { readonly place: 'tape'; readonly is: (typeof TAPE_WORDS)[number] }

type Condition = RawBuilder<unknown>

const GONE: readonly ReplicaState[] = ['deleted']
const THERE: readonly ReplicaState[] = ['present', 'deleting']
const SUSPICIOUS: readonly ReplicaState[] = ['suspicious']
const ON_MEDIA: readonly ReplicaState[] = ['on-media']
const FAILED: readonly ReplicaState[] = ['failed', 'suspicious', 'missing']

/** A copy of the file in the store in one of these states. */
const inStore = (states: readonly ReplicaState[]) => copyOfFile(sql`p.kind = 'cloud' AND p.state IN (${sql.join(states)})`)
const onTape = (states: readonly ReplicaState[]) => copyOfFile(sql`p.kind = 'tape' AND p.state IN (${sql.join(states)})`)

/** All the others: what is neither verified nor failed. */
const UNDER_WAY: readonly ReplicaState[] = [
  'requested',
  'copying',
  'submitted',
  'staged',
  'staging',
  'present',
  'replaced',
  'deleting',
  'deleted',
  'expired',
]

/** The states one of which a copy of each such run is in; null where it is the lack of a copy that is asked for. */
export function statesOf(condition: StorageCondition): readonly ReplicaState[] | null {
  switch (condition.is) {
    case 'present':
      return THERE
    case 'deleted':
    case 'partly':
      return GONE
    case 'suspicious':
      return SUSPICIOUS
    case 'on-media':
      return ON_MEDIA
    case 'failed':
      return FAILED
    case 'under-way':
      return UNDER_WAY
    case 'absent':
    case 'none':
      return null
  }
}

/** What a file is: tests that exclude each other. */
const FILE = {
  cloud: {
    present: inStore(THERE),
    suspicious: sql`${inStore(SUSPICIOUS)} AND NOT ${inStore(THERE)}`,
    deleted: sql`${inStore(GONE)} AND NOT ${inStore([...THERE, ...SUSPICIOUS])}`,
    absent: sql`NOT ${inStore([...THERE, ...SUSPICIOUS, ...GONE])}`,
  },
  tape: {
    'on-media': onTape(ON_MEDIA),
    failed: sql`${onTape(FAILED)} AND NOT ${onTape(ON_MEDIA)}`,
    'under-way': sql`${onTape(UNDER_WAY)} AND NOT ${onTape([...ON_MEDIA, ...FAILED])}`,
    none: sql`NOT ${copyOfFile(sql`p.kind = 'tape'`)}`,
  },
} as const satisfies Record<string, Readonly<Record<string, Condition>>>

const NO_FILES = sql`NOT EXISTS (SELECT 1 FROM run_files f WHERE f.run_id = runs.id AND f.is_live = 1)`

export function isStored(condition: StorageCondition): Condition {
  return condition.place === 'cloud' ? inCloud(condition.is) : onTapes(condition.is)
}

function inCloud(word: (typeof CLOUD_WORDS)[number]): Condition {
  const { present, suspicious, deleted, absent } = FILE.cloud
  switch (word) {
    case 'suspicious':
      return some(suspicious)
    case 'absent':
      return either(NO_FILES, both(some(absent), none(suspicious)))
    case 'partly':
      return both(some(present), some(deleted), none(absent), none(suspicious))
    case 'present':
      return both(some(present), none(deleted), none(absent), none(suspicious))
    case 'deleted':
      return both(some(deleted), none(present), none(absent), none(suspicious))
  }
}

function onTapes(word: (typeof TAPE_WORDS)[number]): Condition {
  const { 'on-media': onMedia, failed, 'under-way': underWay, none: nothing } = FILE.tape
  switch (word) {
    case 'failed':
      return some(failed)
    case 'none':
      return either(NO_FILES, both(some(nothing), none(failed)))
    case 'under-way':
      return both(some(underWay), none(nothing), none(failed))
    case 'on-media':
      return both(some(onMedia), none(underWay), none(nothing), none(failed))
  }
}

const both = (...conditions: Condition[]): Condition => sql`(${sql.join(conditions, sql` AND `)})`
const either = (...conditions: Condition[]): Condition => sql`(${sql.join(conditions, sql` OR `)})`
const none = (file: Condition): Condition => sql`NOT ${some(file)}`

/** Some file that counts for the run is like this. */
function some(file: Condition): Condition {
  return sql`EXISTS (SELECT 1 FROM run_files f WHERE f.run_id = runs.id AND f.is_live = 1 AND ${file})`
}

function copyOfFile(test: Condition): Condition {
  return sql`EXISTS (SELECT 1 FROM replicas p WHERE p.run_id = f.run_id AND ${test}
    AND p.bucket = f.bucket AND p.object_key = f.object_key AND p.sha256 = f.sha256)`
}
