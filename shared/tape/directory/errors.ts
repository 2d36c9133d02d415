/** Errors of the file system as sentences for the operator of the endpoint. */
import { classify, type Failure, TransientError } from '../../errors.ts'

const REASONS: Readonly<Record<string, string>> = {
  ENOSPC: 'no space left',
  EDQUOT: 'the quota is used up',
  EFBIG: 'the file is larger than the file system allows',
  EROFS: 'it is mounted read-only',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EIO: 'the device failed',
  ESTALE: 'the network file system lost it; it may have to be mounted again',
  ENXIO: 'the device does not exist',
  ENODEV: 'the device does not exist',
  ENOTCONN: 'the file system program behind it ended; it has to be mounted again',
  ETIMEDOUT: 'the network file system does not answer',
  EHOSTDOWN: 'the network file system does not answer',
  EMFILE: 'this process has too many files open',
  ENFILE: 'this machine has too many files open',
  ENOTDIR: 'a file is where a folder is needed',
  ELOOP: 'a symbolic link is where a file is needed',
  ENAMETOOLONG: 'the name is too long for the file system',
  ENOENT: 'it does not exist (any more)',
}

/** Errors that only an operator can resolve. */
const OPERATOR = new Set([
  'ENOSPC',
  'EDQUOT',
  'EFBIG',
  'EROFS',
  'EACCES',
  'EPERM',
  'ESTALE',
  'ENOTCONN',
  'ENOTDIR',
  'ELOOP',
  'ENAMETOOLONG',
])

/** Whether this is an error of the file system with one of these codes. */
export const hasCode = (error: unknown, ...codes: readonly string[]): error is NodeJS.ErrnoException =>
  error instanceof Error && 'code' in error && codes.includes(String(error.code))

/**
 * Any error as one of our three kinds. An error of the file system becomes a TransientError: the fault is the
 * endpoint's, not the copy's.
 */
export function translated(root: string, error: unknown): Failure {
  if (!(error instanceof Error && 'syscall' in error && 'code' in error)) return classify(error)
  const code = String(error.code)
  const reason = REASONS[code]
  if (reason === undefined) return classify(error)
  const path = 'path' in error ? String(error.path) : root
  return new TransientError(
    `${path}: ${reason} (${code})`,
    { error: code, operator: OPERATOR.has(code) },
    { cause: error },
  )
}
