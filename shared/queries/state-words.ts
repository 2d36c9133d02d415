/**
 * The states of copies in words for people, the same on every page and in the command (docs/concepts.md).
 * Most are the words of the API. Pure.
 */
import type { CopyKind, CopyState, Evidence } from '../database/replica-schema.ts'
import type { StorageSummary } from '../database/storage-summary.ts'

export const STORE_TEXTS: Readonly<Record<StorageSummary['cloud'], string>> = {
  present: 'present',
  partly: 'partly present',
  deleted: 'deleted',
  absent: 'no copy',
  suspicious: 'suspicious',
}

export const TAPE_TEXTS: Readonly<Record<StorageSummary['tape'], string>> = {
  'on-media': 'on tape',
  'under-way': 'in progress',
  none: 'no copy',
  failed: 'failed',
}

/** The place of a copy. */
export const PLACES: Readonly<Record<CopyKind, string>> = {
  local: 'DAQ disk',
  cloud: 'store',
  tape: 'tape',
  recall: 'recall',
}

export const copyText = (state: CopyState): string => (state === 'on-media' ? TAPE_TEXTS[state] : state)

/** What a verification rests on, the weakest first. */
export const EVIDENCE_TEXTS: Readonly<Record<Evidence, string>> = {
  inference: 'concluded',
  statement: 'stated',
  existence: 'found with the right size',
  'stored-checksum': 'stored checksum compared',
  read: 'all bytes read and compared',
}
