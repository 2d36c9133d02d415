/**
 * What was seen to go against a promise. Noted and not thrown: what is under test catches what is thrown at
 * it.
 */
export interface Violations {
  readonly all: readonly string[]
  add(what: string): void
}

export function createViolations(): Violations {
  const all: string[] = []
  return { all, add: (what) => void all.push(what) }
}
