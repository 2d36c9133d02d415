/**
 * Judges each deletion and each write by what happened before it, independently of the code under test. The
 * rules are those of docs/adr/0009-deletion.md.
 */
import type { Database } from '../../shared/database/connect.ts'
import type { Call, Verification } from './call.ts'
import type { Content, GroundTruth } from './ground-truth.ts'
import type { Violations } from './violations.ts'

export interface CommittedTombstone {
  readonly survivorName: string
  readonly survivorSha256: string
  readonly survivorVerifiedAt: Date
}

export interface Judge {
  /**
   * The committed tombstones for a copy of these contents. Must be called before the deletion is done.
   */
  tombstones(kind: 'cloud' | 'local', content: Content): Promise<readonly CommittedTombstone[]>
  /** A copy was deleted by a call. */
  deletion(
    call: Call,
    kind: 'cloud' | 'local',
    content: Content,
    tombstones: readonly CommittedTombstone[],
  ): void
  /** A call wrote an object. */
  write(call: Call, key: string, before: string | null, after: string | null): void
}

export interface JudgeOptions {
  readonly database: Database
  readonly bucket: string
  readonly groundTruth: GroundTruth
  readonly violations: Violations
  readonly nowMs: () => number
  readonly count: (what: string) => void
}

/** An older verification does not count as made now. */
const FRESH_MS = 120_000

export function createJudge({
  database,
  bucket,
  groundTruth,
  violations,
  nowMs,
  count,
}: JudgeOptions): Judge {
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
      const names = groundTruth.tapeNames(content)
      const isProof = ({ name, sha256, onMedia, atMs }: Verification) =>
        sha256 === content.sha256 && onMedia && names.includes(name) && nowMs() - atMs <= FRESH_MS
      const proofs = call.verifications.filter(isProof)
      if (proofs.length === 0)
        violations.add(`${what} without having verified, in this call and just now, a copy on the medium`)
      const evidence = tombstones.some(
        ({ survivorName, survivorSha256, survivorVerifiedAt }) =>
          survivorSha256 === content.sha256 &&
          survivorVerifiedAt.getTime() >= call.begunAt &&
          proofs.some((proof) => proof.name === survivorName),
      )
      if (!evidence)
        violations.add(`${what} without a tombstone, committed before, that names the verified copy`)
      if (groundTruth.copies(content).length > 0) return
      // Verified but lost since: an external actor removed it, because drivers never touch existing files
      // (`inspect` of tape-folder.ts).
      if (proofs.length > 0) groundTruth.excuse(content)
      else violations.add(`${what}, the last copy`)
    },
    write(call, key, before, after) {
      count('a run was recalled')
      if (before !== null) violations.add(`${call.name} wrote over ${key}`)
      if (after !== null && !groundTruth.wasRequired({ key, sha256: after }))
        violations.add(`${call.name} wrote bytes under ${key} that were never dropped there`)
    },
  }
}
