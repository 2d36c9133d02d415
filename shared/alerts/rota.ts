/** Who is on shift, and who is second. */

export interface OnShift {
  readonly first: string | null
  readonly second: string | null
}

/** Nobody is known: escalation mentions the role. */
export const NOBODY: OnShift = { first: null, second: null }
