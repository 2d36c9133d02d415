/** The port of bearer tokens; shared/tape/tokens/tokens.ts chooses the implementation. */
export interface TokenSource {
  /**
   * The token to send now; null where the endpoint is used without one. @throws TransientError when none is
   * available.
   */
  token(signal: AbortSignal): Promise<string | null>
  /**
   * Reports that this token was refused (401): another is fetched before the next use, at most once in some
   * seconds.
   */
  refused(token: string): void
}
