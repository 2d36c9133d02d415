/**
 * The open problems of a run: decided here, kept in the run's row, and used by every list, page, command and
 * filter. Those of its files change with the files (`refreshRun`), those of its copies with the copies
 * (`refreshStorage`). Pure.
 */
import type { Replica } from '../database/replica-schema.ts'
import type { Run, RunFile } from '../database/schema.ts'
import type { FileMetadata } from '../extraction/metadata.ts'
import { FAILED_OR_WRONG } from './replica-states.ts'

/** Each kind with its words for people, the most severe first. */
export const PROBLEMS = {
  disputed: 'checksum mismatch',
  lost: 'no file any more',
  'suspicious-copy': 'suspicious copy',
  'missing-copy': 'missing copy',
  incomplete: 'not complete',
  'invalid-file': 'file refused',
  'tape-failed': 'no copy on tape: failed',
  'no-camera': 'no camera frame',
  misnamed: 'wrong number in the file name',
  'extra-file': 'a file that does not count',
} as const

export type ProblemKind = keyof typeof PROBLEMS
export const PROBLEM_KINDS = Object.keys(PROBLEMS) as readonly ProblemKind[]

/** Of the copies in the store and on tape. */
const OF_COPIES = { suspicious: 'suspicious-copy', missing: 'missing-copy', failed: 'tape-failed' } as const

/** The event id of the trigger, whose events carry the camera frame and the digitizers. */
const TRIGGER_EVENT_ID = '1'
/** One bank per camera. */
const CAMERA_BANK = /^CAM\d$/

export const triggerEvents = ({ eventsById }: Pick<FileMetadata, 'eventsById'>): number =>
  eventsById[TRIGGER_EVENT_ID] ?? 0

export const cameraBanks = ({ banks }: Pick<FileMetadata, 'banks'>): number =>
  Object.entries(banks)
    .filter(([name]) => CAMERA_BANK.test(name))
    .reduce((total, [, { count }]) => total + count, 0)

/** A file that was read to its end, with triggers and without a camera frame. */
export const lacksCamera = (
  file: Pick<FileMetadata, 'eventsById' | 'banks'> & { readonly problem: unknown },
): boolean => file.problem === null && triggerEvents(file) > 0 && cameraBanks(file) === 0

type ProblemFile = Pick<RunFile, 'integrity' | 'problem' | 'eventsById' | 'banks'> & {
  readonly wellNamed: boolean
}

/**
 * @param run.files those that count. @param run.extraFiles how many live files do not count.
 * @param run.refusedFiles how many files named for the run were refused and not replaced since.
 */
export function problemsOfFiles(run: {
  /** A file of the run was catalogued before or now. */
  readonly hadFile: boolean
  readonly complete: boolean
  readonly files: readonly ProblemFile[]
  readonly extraFiles: number
  readonly refusedFiles: number
}): readonly ProblemKind[] {
  const { files } = run
  const found: Readonly<Partial<Record<ProblemKind, boolean>>> = {
    disputed: files.some((file) => file.integrity === 'mismatch'),
    lost: run.hadFile && files.length === 0,
    incomplete: files.length > 0 && !run.complete,
    'invalid-file': run.refusedFiles > 0,
    'no-camera': files.some(lacksCamera),
    misnamed: files.some((file) => !file.wellNamed),
    'extra-file': run.extraFiles > 0,
  }
  return PROBLEM_KINDS.filter((kind) => found[kind] === true)
}

/** @param copies of the contents that count. */
export function problemsOfCopies(copies: readonly Pick<Replica, 'kind' | 'state'>[]): readonly ProblemKind[] {
  const states = copies
    .filter(({ kind, state }) => kind !== 'local' && FAILED_OR_WRONG.includes(state))
    .map(({ state }) => OF_COPIES[state as keyof typeof OF_COPIES])
  return PROBLEM_KINDS.filter((kind) => states.some((found) => found === kind))
}

/** The problems of a run as its row has them. */
export const openProblems = ({ problems }: Pick<Run, 'problems'>): readonly ProblemKind[] =>
  PROBLEM_KINDS.filter((kind) => problems.split(',').includes(kind))

/** The columns of a run with these problems. */
export function problemColumns(kinds: readonly ProblemKind[]): Pick<Run, 'problems' | 'hasProblem'> {
  const problems = PROBLEM_KINDS.filter((kind) => kinds.includes(kind)).join(',')
  return { problems, hasProblem: problems !== '' }
}

/** The columns of a run whose copies have changed; the problems of its files stay. */
export const withProblemsOfCopies = (run: Pick<Run, 'problems'>, ofCopies: readonly ProblemKind[]) =>
  problemColumns([
    ...openProblems(run).filter((kind) => !Object.values<ProblemKind>(OF_COPIES).includes(kind)),
    ...ofCopies,
  ])
