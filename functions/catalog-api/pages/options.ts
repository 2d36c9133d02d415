/** What the pages need in addition to the context. */
import type { Context } from '../../../shared/context.ts'
import type { BrowserSignIn } from '../access/identity.ts'
import { isSignedIn } from '../access/session.ts'
import type { ApiContext } from '../http/route.ts'

export interface PageOptions {
  /** Null where browsers cannot sign in; then no sign-in is offered. */
  readonly browser: Pick<BrowserSignIn, 'csrf'> | null
  /** The folder of a local stack's log files, one per function; null elsewhere. */
  readonly logFolder: string | null
  readonly live: {
    /**
     * How long one stream of events lasts; the browser then reconnects. Short where a host returns only
     * complete answers.
     */
    readonly lastsSeconds: number
    /** How often the catalogue is polled for changes. */
    readonly pollMs: number
    /** How often an otherwise silent stream sends a keep-alive; 15 s by default. */
    readonly aliveMs?: number
  }
}

/**
 * For the hidden field of forms; null for callers without a session, whose forms need none. It is checked
 * before the request reaches any page.
 */
export function csrfTokenOf(c: ApiContext, { browser }: Pick<PageOptions, 'browser'>): string | null {
  const caller = c.get('caller')
  return browser !== null && isSignedIn(caller) ? browser.csrf.tokenFor(caller) : null
}

/** The catalogue's origin as browsers reach it. */
export const originOf = (c: ApiContext, { config }: Context): string =>
  new URL(config.access.publicUrl ?? c.req.url).origin
