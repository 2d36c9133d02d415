/** A file as the catalogue knows it, and where it can be fetched now. */

export interface WantedFile {
  readonly fileName: string
  readonly sizeBytes: number
  /** Lower-case hex. */
  readonly md5: string
  readonly adler32: string
}

export interface Link {
  readonly url: string
  readonly expiresAt: Date
}

/** One that ends so soon is renewed before it is used. */
const LEAST_SECONDS = 10

export const isAboutToEnd = ({ expiresAt }: Pick<Link, 'expiresAt'>, now: Date): boolean =>
  expiresAt.getTime() - now.getTime() <= LEAST_SECONDS * 1000

/** Gives a link that works now; asked again when one has expired. */
export interface LinkGiver {
  /** @throws InvalidInputError when the file cannot be had any more, or has other contents by now. */
  renew(signal: AbortSignal): Promise<Link>
}
