/**
 * Whether the DAQ's file may be deleted: two other copies of the same contents must be verified. Reads the
 * catalogue, changes nothing.
 */
import { isProven } from '../../catalogue/evidence.ts'
import { NEAREST_TO_MEDIA_FIRST } from '../../catalogue/replica-states.ts'
import { replicasOfContent } from '../../catalogue/replicas.ts'
import type { Executor } from '../../database/connect.ts'
import type { CopyState, Replica } from '../../database/replica-schema.ts'
import type { ObjectName } from '../../run.ts'

export interface LocalContent extends ObjectName {
  readonly sha256: string
  readonly sizeBytes: number
}

export interface Safety {
  readonly safe: boolean
  /** One sentence: what makes it safe, or what is missing. */
  readonly why: string
  readonly cloud: { readonly state: CopyState; readonly verifiedAt: Date | null } | null
  readonly tape: readonly {
    readonly endpoint: string
    readonly state: CopyState
    readonly verifiedAt: Date | null
  }[]
}

/**
 * Safe only while a copy in the store and a copy on the tape's medium are both verified. After the copy in
 * the store is deleted, the local file is the second copy besides the one on tape, and is kept.
 */
export async function safetyOf(
  { database }: { readonly database: Executor },
  content: LocalContent,
): Promise<Safety> {
  return judgeSafety(content, await replicasOfContent(database, content))
}

/** The decision itself, from the replicas of these contents. Pure. */
export function judgeSafety(content: LocalContent, replicas: readonly Replica[]): Safety {
  const cloud = replicas.find(({ kind }) => kind === 'cloud') ?? null
  const tape = replicas.filter(({ kind }) => kind === 'tape')
  const named = `${content.bucket}/${content.key}`
  const facts = {
    cloud: cloud === null ? null : { state: cloud.state, verifiedAt: cloud.verifiedAt },
    tape: tape.map(({ endpoint, state, verifiedAt }) => ({ endpoint, state, verifiedAt })),
  }
  if (cloud === null && tape.length === 0)
    return { safe: false, why: `these contents of ${named} are not catalogued yet`, ...facts }
  const other = replicas.find(({ sizeBytes }) => sizeBytes !== content.sizeBytes)
  if (other !== undefined)
    return {
      safe: false,
      why: `the file has ${content.sizeBytes} bytes, ${other.url} has ${other.sizeBytes}`,
      ...facts,
    }
  const awaited = [cloudAwaited(cloud), tapeAwaited(tape)].filter((reason) => reason !== null)
  if (awaited.length > 0) return { safe: false, why: awaited.join('; '), ...facts }
  return { safe: true, why: 'a copy in the store and one on tape are verified', ...facts }
}

/** A copy on tape counts when it was verified on the medium. */
export const verifiedOnTape = (replica: Replica): boolean =>
  replica.kind === 'tape' && replica.state === 'on-media' && isProven(replica)

function cloudAwaited(copy: Replica | null): string | null {
  if (copy === null) return 'no copy in the store is known'
  switch (copy.state) {
    case 'present':
      return isProven(copy) ? null : 'the copy in the store is not verified yet'
    case 'deleting':
    case 'deleted':
      return 'the copy in the store was deleted to make room, so the local file is the second copy besides the one on tape: keep it'
    case 'replaced':
      return 'the store now holds other contents under this key'
    default:
      return `the copy in the store is ${copy.state}`
  }
}

function tapeAwaited(copies: readonly Replica[]): string | null {
  if (copies.some(verifiedOnTape)) return null
  const [copy] = copies.toSorted((a, b) => nearness(a) - nearness(b))
  if (copy === undefined) return 'no copy on tape was requested yet'
  switch (copy.state) {
    case 'on-media':
      return copy.verifiedEvidence === 'statement'
        ? `the copy on tape is only stated, not verified (${copy.verifiedBy})`
        : 'the copy on tape is not verified yet'
    case 'staged':
      return "the copy on tape is verified on the endpoint's disk buffer, not yet on the medium"
    case 'requested':
    case 'copying':
    case 'submitted':
      return `the copy on tape is in progress (${copy.state})${copy.lastError === null ? '' : `: ${copy.lastError}`}`
    case 'failed':
      return `the copy on tape failed: ${copy.lastError ?? 'no reason known'}`
    default:
      return `the copy on tape is ${copy.state}`
  }
}

/** Of several copies on tape, the one nearest to being verified is reported. */
const nearness = ({ state }: Replica) =>
  NEAREST_TO_MEDIA_FIRST.includes(state)
    ? NEAREST_TO_MEDIA_FIRST.indexOf(state)
    : NEAREST_TO_MEDIA_FIRST.length
