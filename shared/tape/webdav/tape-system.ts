/**
 * Whether there is a tape system behind an endpoint. That it has none is concluded from an absence, which a proxy
 * that is being reloaded, or one node of several, shows as well. So one answer never decides it (ADR 8).
 */
import { TransientError } from '../../errors.ts'
import { discoverTapeRest, type TapeRest, type TapeRestMemory } from '../tape-rest.ts'
import type { TapeHttp } from './http.ts'
import type { Places } from './places.ts'
import { assertRootExists } from './root.ts'

export type TapeSystem =
  | { readonly kind: 'api'; readonly rest: TapeRest }
  /**
   * The endpoint itself is the medium: so the settings state (`since` is null), or it has shown no API at any
   * request since then.
   */
  | { readonly kind: 'none'; readonly since: Date | null }

export interface TapeSystemOptions {
  /** `auto`: the endpoint is asked whether it has a Tape REST API; `always` and `never` state it. */
  readonly tapeRest: 'auto' | 'always' | 'never'
  /** Without it nobody knows how long an absence has lasted: no deletion may rest on it. */
  readonly tapeRestMemory?: TapeRestMemory | undefined
}

/** The latest date there is, in milliseconds: no time has passed since then. */
const END_OF_TIME = new Date(8_640_000_000_000_000)

/** An API that was found is used as long as the process lives; an absence is asked for again each time. */
export function createTapeSystem(
  at: { readonly http: TapeHttp; readonly places: Places },
  { tapeRest, tapeRestMemory: memory }: TapeSystemOptions,
): (signal: AbortSignal) => Promise<TapeSystem> {
  if (tapeRest === 'never') return async () => ({ kind: 'none', since: null })
  const { root } = at.places
  let found: TapeSystem | null = null
  return async (signal) => {
    if (found !== null) return found
    const rest = await discover(at, tapeRest === 'auto', signal)
    if (rest !== null) {
      await memory?.found(root.href)
      found = { kind: 'api', rest }
      return found
    }
    if (tapeRest === 'always') throw disappeared(root, 'CYGNET_TAPE_REST=always states that it has one')
    const since = memory === undefined ? END_OF_TIME : await memory.absent(root.href)
    if (since === null)
      throw disappeared(root, 'it had one before (CYGNET_TAPE_REST=never where that was removed)')
    return { kind: 'none', since }
  }
}

/** Null only after two answers, and while the same server has the root of the copies. */
async function discover(
  at: { readonly http: TapeHttp; readonly places: Places },
  mayBeAbsent: boolean,
  signal: AbortSignal,
): Promise<TapeRest | null> {
  const first = await discoverTapeRest(at.http, at.places.root, signal)
  if (first !== null || !mayBeAbsent) return first
  await assertRootExists(at, signal)
  return await discoverTapeRest(at.http, at.places.root, signal)
}

/** Also for a file that a Tape REST API has staged. */
export const disappeared = (root: URL, why: string): TransientError =>
  new TransientError(`${root.host} shows no Tape REST API now, but ${why}`, { operator: true })
