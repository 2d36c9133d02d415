/** The port of bearer tokens; shared/tape/tokens/tokens.ts chooses what is behind it. */
export interface TokenSource {
  /**
   * The token to send now; null where the endpoint is used without one. @throws TransientError when none can
   * be had.
   */
  token(signal: AbortSignal): Promise<string | null>
  /**
   * Says that this token was refused (401): another is fetched before the next use, not more than once per
   * some seconds.
   */
  refused(token: string): void
}
