/** A file of the catalogue, and a link through which it can be fetched now. */

export interface WantedFile {
  readonly fileName: string
  readonly sizeBytes: number
  /** Lower-case hex. */
  readonly md5: string
  readonly adler32: string
  /** Why it should be used with care, after its name; null for a good file. */
  readonly warning: string | null
}

export interface Link {
  readonly url: string
  readonly expiresAt: Date
}

/** A link that expires sooner is renewed before it is used. */
const LEAST_SECONDS = 10

export const isAboutToEnd = ({ expiresAt }: Pick<Link, 'expiresAt'>, now: Date): boolean =>
  expiresAt.getTime() - now.getTime() <= LEAST_SECONDS * 1000

/** Supplies a valid link; called again when one has expired. */
export interface LinkSupplier {
  /** @throws InvalidInputError when the file is no longer available, or has other contents now. */
  renew(signal: AbortSignal): Promise<Link>
}
