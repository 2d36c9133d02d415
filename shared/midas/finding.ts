/** A fault in a file that does not stop its reader: a problem or a warning. */
export interface Finding {
  /** Stable, for alerts and filters, e.g. `gzip-truncated`, `no-end-of-run`. */
  readonly code: string
  /** One sentence for physicists. */
  readonly message: string
  /**
   * Byte offset in the uncompressed stream (in the compressed one for codes about the compression); null
   * where none applies.
   */
  readonly offset: number | null
}
