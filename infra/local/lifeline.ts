/**
 * Ends a process of the stack together with the process that started it, however that one ends: by `kill -9` as
 * well, and on machines without setpriv. The starter holds the other end of the standard input and never writes
 * to it; when it dies, the kernel closes the pipe.
 */

/** For work in progress when the starter is dead. Nothing waits for the outcome: it is repeated by its row. */
const GRACE_MS = 3000

/** @param stop ends the work in an orderly way; after three seconds the process exits in any case. */
export function endWithStarter(stop: () => void): void {
  process.stdin.on('error', () => {})
  process.stdin.once('close', () => {
    stop()
    setTimeout(() => process.exit(1), GRACE_MS).unref()
  })
  process.stdin.resume()
  // The lifeline alone does not keep the process running.
  ;(process.stdin as unknown as { unref?(): void }).unref?.()
}
