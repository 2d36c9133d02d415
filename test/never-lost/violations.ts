/**
 * Broken promises that were observed. They are collected and not thrown, because the code under test would
 * catch them.
 */
export interface Violations {
  readonly all: readonly string[]
  add(what: string): void
}

export function createViolations(): Violations {
  const all: string[] = []
  return { all, add: (what) => void all.push(what) }
}
