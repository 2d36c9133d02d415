/**
 * What may be shown in green: a copy that is there, whose whole content was compared with a checksum within the
 * time in which every copy is verified again, and that nothing contradicts (docs/concepts.md, ADR 17). Pure.
 */
import { VERIFIED } from '../catalogue/replica-states.ts'
import type { ShownCopy } from '../database/replica-schema.ts'

export type Verified = Pick<ShownCopy, 'state' | 'verifiedAt' | 'verifiedEvidence' | 'doubtedEvidence'>

/** Within which time a verification counts as one of now. */
export interface Period {
  /** CYGNET_SCRUB_DAYS */
  readonly scrubDays: number
  readonly now: Date
}

const DAY_MS = 86_400_000
/** A later date than this was written by a clock that was wrong, and proves nothing. */
const AHEAD_MS = 60_000

/** When its checksum was compared; null if it never was, or if something contradicts that. */
const verifiedSince = ({ state, verifiedAt, verifiedEvidence: by, doubtedEvidence }: Verified) =>
  VERIFIED.includes(state) && doubtedEvidence === null && (by === 'read' || by === 'stored-checksum')
    ? verifiedAt
    : null

export function isNow(at: Date | null, { scrubDays, now }: Period): boolean {
  if (at === null) return false
  const ageMs = now.getTime() - at.getTime()
  return ageMs >= -AHEAD_MS && ageMs <= scrubDays * DAY_MS
}

export const isVerifiedNow = (copy: Verified, period: Period): boolean => isNow(verifiedSince(copy), period)

/** Since when every file that counts for a run is verified; null where one of them is not. */
export interface RunVerified {
  readonly cloud: Date | null
  readonly tape: Date | null
  /** In the store or on tape. */
  readonly anywhere: Date | null
}

export const NOT_VERIFIED: RunVerified = { cloud: null, tape: null, anywhere: null }

/** @param files of one run, those that count, each with its copies in the store and on tape. */
export function runVerified(
  files: readonly (readonly (Verified & Pick<ShownCopy, 'kind'>)[])[],
): RunVerified {
  const of = (kinds: readonly ShownCopy['kind'][]): Date | null => {
    const times = files.map((copies) =>
      Math.max(
        ...copies
          .filter(({ kind }) => kinds.includes(kind))
          .map((copy) => verifiedSince(copy)?.getTime() ?? Number.NEGATIVE_INFINITY),
      ),
    )
    const oldest = Math.min(...times)
    return Number.isFinite(oldest) ? new Date(oldest) : null
  }
  return { cloud: of(['cloud']), tape: of(['tape']), anywhere: of(['cloud', 'tape']) }
}
