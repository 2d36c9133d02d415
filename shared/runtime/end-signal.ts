/**
 * Imported before all else by the process of a container. As process 1 it would ignore a signal that comes before it
 * has a handler, and be killed at the end of the grace period.
 */
const ending = new AbortController()

for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => ending.abort())

/** Aborted when the process is told to end. */
export const endSignal: AbortSignal = ending.signal
