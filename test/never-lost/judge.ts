/**
 * Holds each deletion and each write against what must have come before it: the rules of
 * docs/adr/0009-deletion.md, from outside.
 */
import type { Database } from '../../shared/database/connect.ts'
import type { Call, Look } from './call.ts'
import type { Content, Truth } from './truth.ts'
import type { Violations } from './violations.ts'

export interface CommittedTombstone {
  readonly survivorName: string
  readonly survivorSha256: string
  readonly survivorVerifiedAt: Date
}

export interface Judge {
  /**
   * The tombstones for a copy of these contents that are committed now. To be asked for before the deletion
   * is done.
   */
  tombstones(kind: 'cloud' | 'local', content: Content): Promise<readonly CommittedTombstone[]>
  /** A copy was deleted by a call. */
  deletion(
    call: Call,
    kind: 'cloud' | 'local',
    content: Content,
    tombstones: readonly CommittedTombstone[],
  ): void
  /** A call has written an object. */
  write(call: Call, key: string, before: string | null, after: string | null): void
}

export interface JudgeOptions {
  readonly database: Database
  readonly bucket: string
  readonly truth: Truth
  readonly violations: Violations
  readonly nowMs: () => number
  readonly count: (what: string) => void
}

/** A look that is older than this was not taken now. */
const FRESH_MS = 120_000

export function createJudge({ database, bucket, truth, violations, nowMs, count }: JudgeOptions): Judge {
  return {
    async tombstones(kind, { key, sha256 }) {
      return await database
        .selectFrom('tombstones')
        .innerJoin('replicas as copy', 'copy.id', 'tombstones.replicaId')
        .innerJoin('replicas as survivor', 'survivor.id', 'tombstones.survivorId')
        .select(['survivor.name as survivorName', 'survivor.sha256 as survivorSha256', 'survivorVerifiedAt'])
        .where('copy.kind', '=', kind)
        .where('tombstones.bucket', '=', bucket)
        .where('tombstones.objectKey', '=', key)
        .where('tombstones.sha256', '=', sha256)
        .where('tombstones.state', '=', 'intended')
        .execute()
    },
    deletion(call, kind, content, tombstones) {
      count(kind === 'cloud' ? 'a run was deleted from the store' : 'a file of the DAQ was removed')
      const what = `${call.name} deleted the ${kind} copy of ${content.key} (${content.sha256.slice(0, 12)})`
      const names = truth.tapeNames(content)
      const proves = ({ name, sha256, onMedia, atMs }: Look) =>
        sha256 === content.sha256 && onMedia && names.includes(name) && nowMs() - atMs <= FRESH_MS
      const looks = call.looks.filter(proves)
      if (looks.length === 0)
        violations.add(
          `${what} without having verified, just now and in this call, a copy of it on the medium`,
        )
      const evidence = tombstones.some(
        ({ survivorName, survivorSha256, survivorVerifiedAt }) =>
          survivorSha256 === content.sha256 &&
          survivorVerifiedAt.getTime() >= call.begunAt &&
          looks.some((look) => look.name === survivorName),
      )
      if (!evidence)
        violations.add(`${what} without a tombstone committed before that names the copy it had verified`)
      if (truth.copies(content).length > 0) return
      // Verified, and gone since: strangers were at it, since drivers leave alone what is there (`inspect` of
      // tape-folder.ts).
      if (looks.length > 0) truth.excuse(content)
      else violations.add(`${what}, the last copy there was`)
    },
    write(call, key, before, after) {
      count('a run was brought back')
      if (before !== null) violations.add(`${call.name} wrote over ${key}`)
      if (after !== null && !truth.wasRequired({ key, sha256: after }))
        violations.add(`${call.name} wrote bytes under ${key} that nobody had dropped there`)
    },
  }
}
