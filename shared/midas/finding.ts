/** What a reader found wrong with a file without having to stop: a problem or a warning. */
export interface Finding {
  /** Stable, for alerts and filters, e.g. `gzip-truncated`, `no-end-of-run`. */
  readonly code: string
  /** One sentence a physicist understands. */
  readonly message: string
  /**
   * Byte offset in the uncompressed stream (in the compressed one for codes about the compression); null
   * where none applies.
   */
  readonly offset: number | null
}
