/** Where a run is, in one word a place: summed up over its files from their replicas. Pure. */
import type { CopyState, Replica } from './replica-schema.ts'

export const CLOUD_WORDS = ['present', 'deleted', 'partly', 'absent', 'suspicious'] as const
export const TAPE_WORDS = ['on-media', 'under-way', 'none', 'failed'] as const

export interface StorageSummary {
  /** `partly`: some files are there, others were deleted after their copy on tape was verified. */
  readonly cloud: (typeof CLOUD_WORDS)[number]
  readonly tape: (typeof TAPE_WORDS)[number]
  /** Null when no program told us of the DAQ's disk. */
  readonly local: 'present' | 'deleted' | null
}

/** As it was last summed up: every change of a replica brings the run's row in step (`refreshStorage`). */
export const storageOf = ({ cloud, tape, local }: StorageSummary): StorageSummary => ({ cloud, tape, local })

const NOWHERE: StorageSummary = { cloud: 'absent', tape: 'none', local: null }

type Content = Pick<Replica, 'bucket' | 'objectKey' | 'sha256'>

/**
 * @param files the contents that count for the run; @param replicas all replicas of the run, whatever their
 * contents.
 */
export function summarizeStorage(
  files: readonly Content[],
  replicas: readonly Pick<Replica, 'bucket' | 'objectKey' | 'sha256' | 'kind' | 'state'>[],
): StorageSummary {
  if (files.length === 0) return NOWHERE
  const byContent = Map.groupBy(replicas, contentOf)
  const states = files.map((file) => {
    const own = byContent.get(contentOf(file)) ?? []
    const of = (kind: Replica['kind']) =>
      own.filter((replica) => replica.kind === kind).map((replica) => replica.state)
    return { cloud: cloudOf(of('cloud')), tape: tapeOf(of('tape')), local: localOf(of('local')) }
  })
  const cloud = states.map((state) => state.cloud)
  const tape = states.map((state) => state.tape)
  const worstCloud = firstOf(cloud, ['suspicious', 'absent', 'present'], 'deleted')
  return {
    cloud:
      cloud.includes('present') && cloud.includes('deleted') && worstCloud === 'present'
        ? 'partly'
        : worstCloud,
    tape: firstOf(tape, ['failed', 'none', 'under-way'], 'on-media'),
    local: states.some((state) => state.local === 'present')
      ? 'present'
      : states.every((state) => state.local === 'deleted')
        ? 'deleted'
        : null,
  }
}

const contentOf = ({ bucket, objectKey, sha256 }: Content) => `${bucket}/${objectKey}\0${sha256}`

function cloudOf(states: readonly CopyState[]): 'absent' | 'present' | 'suspicious' | 'deleted' {
  // One that is being deleted is there until it is not.
  if (states.includes('present') || states.includes('deleting')) return 'present'
  if (states.includes('suspicious')) return 'suspicious'
  return states.includes('deleted') ? 'deleted' : 'absent'
}

function tapeOf(states: readonly CopyState[]): StorageSummary['tape'] {
  if (states.includes('on-media')) return 'on-media'
  if (states.some((state) => state === 'failed' || state === 'suspicious' || state === 'missing'))
    return 'failed'
  return states.length > 0 ? 'under-way' : 'none'
}

function localOf(states: readonly CopyState[]): StorageSummary['local'] {
  if (states.includes('present')) return 'present'
  return states.includes('deleted') ? 'deleted' : null
}

/** The first of the order that occurs: the order goes from what needs attention to what does not. */
function firstOf<T extends string>(values: readonly T[], order: readonly T[], otherwise: T): T {
  return order.find((value) => values.includes(value)) ?? otherwise
}
