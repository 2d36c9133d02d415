/** What a file system says, as a sentence for whoever runs the place of the copies. */
import { classify, type Failure, TransientError } from '../../errors.ts'

const REASONS: Readonly<Record<string, string>> = {
  ENOSPC: 'there is no room left',
  EDQUOT: 'the quota is used up',
  EFBIG: 'the file is larger than the file system takes',
  EROFS: 'it is mounted read-only',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EIO: 'the device failed',
  ESTALE: 'the network file system lost it; it may have to be mounted anew',
  ENXIO: 'the device is not there',
  ENODEV: 'the device is not there',
  ENOTCONN: 'the file system program behind it ended; it has to be mounted anew',
  ETIMEDOUT: 'the network file system does not answer',
  EHOSTDOWN: 'the network file system does not answer',
  EMFILE: 'this process has too many files open',
  ENFILE: 'this machine has too many files open',
  ENOTDIR: 'a file stands where a folder has to be',
  ELOOP: 'a symbolic link stands where a file has to be',
  ENAMETOOLONG: 'the file system takes no name as long as that',
  ENOENT: 'it is not there (any more)',
}

/** Those that pass only when somebody mends them. */
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

/** True for an error of the file system with one of these codes. */
export const hasCode = (error: unknown, ...codes: readonly string[]): error is NodeJS.ErrnoException =>
  error instanceof Error && 'code' in error && codes.includes(String(error.code))

/**
 * Any error as one of our three kinds; what the file system says becomes a TransientError: the copy is good,
 * the place is not.
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
