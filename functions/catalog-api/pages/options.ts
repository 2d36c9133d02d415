/** What the pages need besides the context. */
import type { Context } from '../../../shared/context.ts'
import type { BrowserSignIn } from '../access/identity.ts'
import { isSignedIn } from '../access/session.ts'
import type { ApiContext } from '../http/route.ts'

export interface PageOptions {
  /** Null where browsers cannot sign in: then nothing is said of it. */
  readonly browser: Pick<BrowserSignIn, 'csrf'> | null
  /** Where the functions of a local stack write their logs, a file each; null: elsewhere. */
  readonly logFolder: string | null
  readonly live: {
    /**
     * How long one stream of events lasts; the browser asks again by itself. Short where a host hands on
     * answers only as a whole.
     */
    readonly lastsSeconds: number
    /** How often the catalogue is asked for changes. */
    readonly pollMs: number
    /** How often a stream on which nothing else comes gives a sign of life; each 15 s unless said. */
    readonly aliveMs?: number
  }
}

/**
 * For the hidden field of forms; null for who has no session, whose forms need none. It is checked before any
 * page is asked.
 */
export function csrfTokenOf(c: ApiContext, { browser }: Pick<PageOptions, 'browser'>): string | null {
  const caller = c.get('caller')
  return browser !== null && isSignedIn(caller) ? browser.csrf.tokenFor(caller) : null
}

/** Of the catalogue as browsers reach it. */
export const originOf = (c: ApiContext, { config }: Context): string =>
  new URL(config.access.publicUrl ?? c.req.url).origin
