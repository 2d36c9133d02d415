/**
 * Where a run is: one word per place (store, tape, DAQ's disk), summarized over its files from their
 * replicas. Pure.
 */
import type { CopyState, Replica } from './replica-schema.ts'

export const CLOUD_WORDS = ['present', 'deleted', 'partly', 'absent', 'suspicious'] as const
export const TAPE_WORDS = ['on-media', 'under-way', 'none', 'failed'] as const

export interface StorageSummary {
  /** `partly`: some files are there, others were deleted after their copy on tape was verified. */
  readonly cloud: (typeof CLOUD_WORDS)[number]
  readonly tape: (typeof TAPE_WORDS)[number]
  /** Null if no program reported a file on the DAQ's disk. */
  readonly local: 'present' | 'deleted' | null
}

/** The summary in a run's row, which every change of a replica updates (`refreshStorage`). */
export const storageOf = ({ cloud, tape, local }: StorageSummary): StorageSummary => ({ cloud, tape, local })

const NOWHERE: StorageSummary = { cloud: 'absent', tape: 'none', local: null }

type Content = Pick<Replica, 'bucket' | 'objectKey' | 'sha256'>

/**
 * @param files the contents that count for the run
 * @param replicas all replicas of the run, also of contents that do not count
 */
export function summarizeStorage(
  files: readonly Content[],
  replicas: readonly Pick<
    Replica,
    'bucket' | 'objectKey' | 'sha256' | 'kind' | 'state' | 'verifiedEvidence'
  >[],
): StorageSummary {
  if (files.length === 0) return NOWHERE
  const byContent = Map.groupBy(replicas, contentOf)
  const states = files.map((file) => {
    const own = byContent.get(contentOf(file)) ?? []
    const of = (kind: Replica['kind']) => own.filter((replica) => replica.kind === kind).map(stateOf)
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

/** A copy on tape that a service only states is not on the medium until a checksum was compared. */
const stateOf = ({
  kind,
  state,
  verifiedEvidence: by,
}: Pick<Replica, 'kind' | 'state' | 'verifiedEvidence'>) =>
  kind === 'tape' && state === 'on-media' && by === 'statement' ? 'submitted' : state

const contentOf = ({ bucket, objectKey, sha256 }: Content) => `${bucket}/${objectKey}\0${sha256}`

function cloudOf(states: readonly CopyState[]): 'absent' | 'present' | 'suspicious' | 'deleted' {
  // A copy that is being deleted counts as present until it is deleted.
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

/** The first value of `order` that occurs; `order` begins with the values that need attention. */
function firstOf<T extends string>(values: readonly T[], order: readonly T[], otherwise: T): T {
  return order.find((value) => values.includes(value)) ?? otherwise
}
