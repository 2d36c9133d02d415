/**
 * The rights of people between their requests to the IAM. They count for an hour after the IAM stated the groups.
 * A person with a lasting sign-in (a refresh token, stored sealed) is confirmed again in time, when a request needs
 * it; without one, the person signs in. docs/adr/0025-rights-and-personal-tokens.md.
 */
import * as openid from 'openid-client'
import * as z from 'zod'
import {
  beginRenewal,
  CONFIRMED_MS,
  confirmPerson,
  findPerson,
  keepLastingSignIn,
  replaceLastingSignIn,
} from '../../../shared/access/people.ts'
import type { Grant } from '../../../shared/access/roles.ts'
import type { Person } from '../../../shared/access/schema.ts'
import type { Context } from '../../../shared/context.ts'
import type { Issuer } from './issuer.ts'
import { personOf } from './person.ts'
import { createSeal, type Seal } from './seal.ts'
import { claimsOfTokens } from './token-claims.ts'

export type ConfirmedRights =
  | { readonly kind: 'confirmed'; readonly person: Person }
  /** The IAM was not asked in time, or refused: the person must sign in. */
  | { readonly kind: 'lapsed' }
  /** The IAM cannot be asked now, or another process is asking it. */
  | { readonly kind: 'unavailable' }

export interface ConfirmRights {
  of(subject: string): Promise<ConfirmedRights>
  /** Null where browsers cannot sign in: nothing could seal the token. */
  readonly keep: ((subject: string, refreshToken: string) => Promise<void>) | null
}

/** Early enough that an IAM that is away for half an hour ends nothing. */
const RENEWED_AFTER_MS = CONFIRMED_MS / 2
/** Longer than all requests of a renewal take. */
const RENEWAL_MS = 30_000
/** The IAM may end the sign-in sooner. */
const SEALED_SECONDS = 400 * 86_400

/** Answers of an IAM that has ended a sign-in; any other one may be temporary. */
const ENDED: ReadonlySet<string> = new Set(['invalid_grant', 'invalid_token', 'access_denied'])

const sealedSchema = z.object({ sub: z.string(), token: z.string() })

export function createConfirmRights(
  { config, database, log, now }: Pick<Context<'database'>, 'config' | 'database' | 'log' | 'now'>,
  issuer: Issuer | null,
  grants: readonly Grant[],
): ConfirmRights {
  const { sessionSecret: secret, oidcGroupClaims: groupClaims } = config.access
  const seal = secret === undefined ? null : createSeal(secret, 'lasting-sign-in', now)

  const keep = async (own: Seal, subject: string, token: string) =>
    await keepLastingSignIn(database, subject, await own.seal({ sub: subject, token }, SEALED_SECONDS))

  /** @returns whether the IAM confirmed or refused; false when it could not be asked. */
  async function renew(person: Person, own: Seal, iam: Issuer): Promise<boolean> {
    const { subject } = person
    const at = now()
    if (person.lastingSignIn === null) return true
    if (!(await beginRenewal(database, subject, at, new Date(at.getTime() + RENEWAL_MS)))) return false
    // Read again: another process may have used the token since.
    const found = (await findPerson(database, subject)) ?? person
    if (found.lastingSignIn === null || found.confirmedAt > person.confirmedAt) return true
    const stored = sealedSchema.safeParse(await own.open(found.lastingSignIn)).data
    let used = found.lastingSignIn
    // Before anything else: the IAM may accept the old one no more.
    const rotate = async (token: string) => {
      const sealed = await own.seal({ sub: subject, token }, SEALED_SECONDS)
      await replaceLastingSignIn(database, subject, used, sealed)
      used = sealed
    }
    try {
      const claims = stored?.sub === subject ? await askAgain(iam, subject, stored.token, rotate) : null
      const confirmed = claims === null ? null : personOf(claims, { groupClaims, grants })
      if (confirmed?.subject !== subject) {
        await replaceLastingSignIn(database, subject, used, null)
        log.info({ subject }, 'lasting-sign-in-ended')
        return true
      }
      await confirmPerson(database, { ...confirmed, confirmedAt: at })
      return true
    } catch (error) {
      log.warn({ error, subject }, 'rights-not-confirmed')
      return false
    }
  }

  /** The claims now; null when the IAM has ended the sign-in. @param rotate stores a new refresh token. */
  async function askAgain(
    iam: Issuer,
    subject: string,
    refreshToken: string,
    rotate: (token: string) => Promise<void>,
  ) {
    const configuration = await iam.configuration()
    try {
      const tokens = await openid.refreshTokenGrant(configuration, refreshToken)
      if (tokens.refresh_token !== undefined && tokens.refresh_token !== refreshToken)
        await rotate(tokens.refresh_token)
      const claims = await claimsOfTokens(configuration, tokens, groupClaims, subject.slice('person:'.length))
      if (claims === null) throw new Error('the IAM states no claims with a refreshed token')
      return claims
    } catch (error) {
      if (error instanceof openid.ResponseBodyError && ENDED.has(error.error)) return null
      throw error
    }
  }

  return {
    keep: seal && ((subject, token) => keep(seal, subject, token)),
    async of(subject) {
      let person = await findPerson(database, subject)
      if (person === null) return { kind: 'lapsed' }
      const ageMs = (each: Person) => now().getTime() - each.confirmedAt.getTime()
      let wasAsked = true
      if (ageMs(person) >= RENEWED_AFTER_MS && seal !== null && issuer !== null) {
        wasAsked = await renew(person, seal, issuer)
        person = (await findPerson(database, subject)) ?? person
      }
      if (ageMs(person) < CONFIRMED_MS) return { kind: 'confirmed', person }
      return { kind: wasAsked ? 'lapsed' : 'unavailable' }
    },
  }
}
