/** Personal tokens of the caller, for the API and the page. */
import { confirmPerson, findPerson } from '../../../shared/access/people.ts'
import type { Right } from '../../../shared/access/rights.ts'
import { allows, EVERY_TAG } from '../../../shared/access/scopes.ts'
import {
  createPersonalToken,
  type ListedToken,
  listTokensOf,
  revokeTokensOf,
} from '../../../shared/access/tokens.ts'
import type { Context as ServiceContext } from '../../../shared/context.ts'
import { InvalidInputError } from '../../../shared/errors.ts'
import { unknownTag } from '../../../shared/queries/known-tags.ts'
import { isTag } from '../../../shared/run.ts'
import { refusal } from '../http/problem.ts'
import type { ApiContext } from '../http/route.ts'
import { audited } from './audited.ts'

type Services = Pick<ServiceContext<'database'>, 'database' | 'log' | 'now'>

export interface WantedToken {
  readonly name: string
  readonly scopes: readonly string[]
  readonly days: number
}

export interface OwnTokens {
  readonly tokens: readonly ListedToken[]
  /** Whether the IAM is asked again without the person. */
  readonly isLasting: boolean
}

export async function ownTokens({ database }: Services, c: ApiContext): Promise<OwnTokens> {
  const { subject } = c.get('caller')
  const [tokens, person] = await Promise.all([listTokensOf(database, subject), findPerson(database, subject)])
  return { tokens, isLasting: person !== null && person.lastingSignIn !== null }
}

/** The tags of rights that the person has for all tags: others were named by whoever gave the right. */
const tagsChosen = (own: readonly string[], wanted: readonly string[]): readonly string[] =>
  wanted.flatMap((scope) => {
    const [, right = '', tag = ''] = /^(.*?):(.*)$/s.exec(scope) ?? []
    return isTag(tag) && !own.includes(scope) && allows(own, right as Right, EVERY_TAG) ? [tag] : []
  })

/**
 * Records what the caller's sign-in states about their rights, on which their tokens rest, and makes a token.
 * @throws a 400 problem for a token that cannot be made.
 */
export async function makeOwnToken(
  context: Services,
  c: ApiContext,
  wanted: WantedToken,
): ReturnType<typeof createPersonalToken> {
  const { database, now } = context
  const { subject, name, scopes, confirmedAt } = c.get('caller')
  if (confirmedAt === undefined) throw refusal(403, 'only a signed-in person has personal tokens')
  const object = `new personal token "${wanted.name}" for ${wanted.scopes.join(', ')}, ${wanted.days} d`
  return await audited(
    context,
    c,
    'token',
    object,
    async () => {
      const unknown = await unknownTag(database, tagsChosen(scopes, wanted.scopes))
      if (unknown !== null) throw refusal(400, unknown)
      await confirmPerson(database, { subject, name, scopes, confirmedAt })
      return await createPersonalToken(database, { subject, scopes }, wanted, now()).catch(
        (error: unknown) => {
          throw error instanceof InvalidInputError ? refusal(400, error.message) : error
        },
      )
    },
    ({ id }) => `token ${id}`,
  )
}

/**
 * Revokes a token of the caller.
 * @throws a 404 problem when the caller has no such valid token.
 */
export async function revokeOwnToken(context: Services, c: ApiContext, id: number): Promise<void> {
  const { database, now } = context
  const { subject } = c.get('caller')
  await audited(context, c, 'token', `personal token ${id} revoked`, async () => {
    if ((await revokeTokensOf(database, subject, id, now())) === 0)
      throw refusal(404, `you have no token ${id} that could be revoked`)
  })
}
