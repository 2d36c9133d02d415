/** Tokens: a person makes and revokes personal ones; operators see and revoke all. */
import { html } from 'hono/html'
import * as z from 'zod'
import { mayDo, tagsAllowed } from '../../../shared/access/caller.ts'
import { namesOfPeople } from '../../../shared/access/people.ts'
import { meaningOf } from '../../../shared/access/rights.ts'
import { EVERY_TAG, parseScope } from '../../../shared/access/scopes.ts'
import {
  type ListedToken,
  LONGEST_PERSONAL_DAYS,
  listTokens,
  revokeTokens,
  stateOf,
} from '../../../shared/access/tokens.ts'
import type { Context } from '../../../shared/context.ts'
import { InvalidInputError } from '../../../shared/errors.ts'
import { tagsWithRuns } from '../../../shared/queries/site-state.ts'
import { audited } from '../access/audited.ts'
import { makeOwnToken, type OwnTokens, ownTokens, revokeOwnToken } from '../access/personal-tokens.ts'
import { refusal } from '../http/problem.ts'
import { type Api, type ApiContext, addPage } from '../http/route.ts'
import { curlOf, pythonOf, shellQuoted } from './api-snippets.ts'
import { counted } from './format.ts'
import { csrfField, renderPage } from './layout.ts'
import { csrfTokenOf, originOf, type PageOptions } from './options.ts'
import { ageOf, type Column, copyable, type Html, mark, NOTHING, table, timeOf } from './parts.ts'

const OPERATORS = { right: 'operate', everyTag: true } as const
const USUAL_DAYS = 30

const form = z.object({
  name: z.string().trim().min(1).max(100),
  scope: z.array(z.string().max(300)).min(1),
  /** Empty: for the tags of the scopes. */
  tag: z.string().trim().max(200),
  days: z
    .string()
    .regex(/^\d{1,3}$/)
    .transform(Number),
})

export function registerTokens(api: Api, context: Context<'database'>, options: PageOptions): void {
  addPage(api, 'GET', '/tokens', { person: true }, async (c) => {
    const own = await ownTokens(context, c)
    const { scopes } = c.get('caller')
    const now = context.now()
    const token = csrfTokenOf(c, options)
    const isRevoked = /^\d{1,15}$/.test(c.req.query('revoked') ?? '')
    const all = mayDo(c.get('caller'), 'operate', EVERY_TAG)
      ? everybodySection(
          await listTokens(context.database),
          await namesOfPeople(context.database),
          token,
          now,
        )
      : NOTHING
    const body = html`<div class="title"><h1>Tokens</h1></div>
${isRevoked ? html`<p class="notice" role="status">The token was revoked. Programs that use it are refused from now on.</p>` : NOTHING}
${summary(own, now)}
${ownSection(own.tokens, token, now)}
${scopes.length === 0 ? NOTHING : makeForm(scopes, await tagsWithRuns(context.database, tagsAllowed(c.get('caller'), 'read')), token)}
${all}`
    return renderPage(c, options, { title: 'Tokens', body })
  })

  addPage(api, 'POST', '/tokens', { person: true }, async (c) => {
    const { scope, ...fields } = await c.req.parseBody({ all: true })
    const parsed = form.safeParse({ ...fields, scope: [scope ?? []].flat() })
    if (!parsed.success)
      throw refusal(400, 'a token needs a name, at least one right, and a number of days, such as 30')
    const { name, scope: chosen, tag, days } = parsed.data
    const scopes = tag === '' ? chosen : chosen.map((each) => `${each.slice(0, each.indexOf(':'))}:${tag}`)
    const made = await makeOwnToken(context, c, { name, scopes: [...new Set(scopes)], days })
    const { isLasting } = await ownTokens(context, c)
    const body = madeBody({ ...made, name, isLasting, origin: originOf(c, context) })
    return renderPage(c, options, { title: 'New token', body })
  })

  addPage(api, 'POST', '/tokens/:id{[0-9]+}/revoke', { person: true }, async (c) => {
    const id = idIn(c)
    await revokeOwnToken(context, c, id)
    return c.redirect(`/tokens?revoked=${id}`, 303)
  })

  addPage(api, 'POST', '/tokens/everybody/:id{[0-9]+}/revoke', OPERATORS, async (c) => {
    const id = idIn(c)
    await audited(context, c, 'operate', `token ${id} revoked`, () =>
      revokeTokens(context.database, String(id), context.now()).catch((error: unknown) => {
        throw error instanceof InvalidInputError ? refusal(404, error.message) : error
      }),
    )
    return c.redirect(`/tokens?revoked=${id}`, 303)
  })
}

function idIn(c: ApiContext): number {
  const id = Number(c.req.param('id'))
  if (!Number.isSafeInteger(id)) throw refusal(404, 'there is no such token')
  return id
}

function summary({ tokens, isLasting }: OwnTokens, now: Date): Html {
  const valid = tokens.filter((each) => stateOf(each, now) === 'valid').length
  const have = valid === 0 ? 'You have no tokens.' : `You have ${counted(valid, 'token')}.`
  const leaving =
    'When you leave a group of the IAM, your tokens lose what it gave within an hour; they never give more than you may do yourself.'
  return html`<p>${have} With a token, curl, Python and notebooks use the catalogue as you. ${leaving}</p>
${
  isLasting
    ? html`<p>${mark('good', 'Tokens last')}: Cygnet asks the IAM about your groups by itself, until you revoke the last token.</p>`
    : html`<p>${mark('waiting', 'Tokens sleep')} an hour after each of your sign-ins. <a href="/sign-in?to=/tokens&amp;lasting=yes">Let them last</a>: sign in once more, and Cygnet may ask the IAM about your groups by itself.</p>`
}`
}

const ownSection = (tokens: readonly ListedToken[], token: string | null, now: Date): Html => {
  const valid = tokens.filter((each) => stateOf(each, now) === 'valid')
  const ended = tokens.filter((each) => stateOf(each, now) !== 'valid')
  if (tokens.length === 0) return NOTHING
  return html`<section aria-labelledby="own"><h2 id="own">Your tokens</h2>
${table({
  id: 'own-table',
  caption: 'Your valid tokens',
  captionHidden: true,
  rows: valid,
  empty: 'None is valid.',
  columns: [...columnsAt(now), revokeColumn('/tokens', token)],
})}
${
  ended.length === 0
    ? NOTHING
    : html`<details><summary>${counted(ended.length, 'expired or revoked token', 'expired or revoked tokens')}</summary>
${table({ id: 'ended-table', caption: 'Your expired and revoked tokens', captionHidden: true, rows: ended, empty: '', columns: [...columnsAt(now), stateColumn(now)] })}</details>`
}</section>`
}

function everybodySection(
  tokens: readonly ListedToken[],
  names: ReadonlyMap<string, string>,
  token: string | null,
  now: Date,
): Html {
  const valid = tokens.filter((each) => stateOf(each, now) === 'valid')
  const holder: Column<ListedToken> = {
    head: 'Of',
    cell: ({ subject, machine, name }) =>
      subject === null
        ? html`machine ${machine ?? name}`
        : html`<a href="/audit?subject=${encodeURIComponent(subject)}">${names.get(subject) ?? subject}</a>`,
  }
  // People first, each with all their tokens.
  const nameOf = ({ subject }: ListedToken) => (subject === null ? '\uffff' : (names.get(subject) ?? subject))
  const rows = valid.toSorted((a, b) => nameOf(a).localeCompare(nameOf(b)) || b.id - a.id)
  return html`<section aria-labelledby="everybody"><h2 id="everybody">Everybody’s tokens</h2>
<p>For operators: ${counted(valid.length, 'valid token')} of people and machines. Who used which right is in the <a href="/audit">audit</a>.</p>
${table({
  id: 'everybody-table',
  caption: 'Valid tokens of people and machines',
  captionHidden: true,
  rows,
  empty: 'There are none.',
  columns: [holder, ...columnsAt(now), revokeColumn('/tokens/everybody', token)],
})}</section>`
}

const columnsAt = (now: Date): readonly Column<ListedToken>[] => [
  { head: 'Token', heads: true, cell: ({ id, name }) => html`${name} <span class="quiet">${id}</span>` },
  { head: 'Rights', prose: true, cell: ({ scopes }) => html`<code>${scopes.join(' ')}</code>` },
  { head: 'Until (UTC)', cell: ({ expiresAt }) => timeOf(expiresAt), roomy: true },
  {
    head: 'Last used',
    numeric: true,
    roomy: true,
    cell: ({ lastUsedAt }) => (lastUsedAt === null ? 'never' : html`${ageOf(lastUsedAt, now)} ago`),
  },
]

const stateColumn = (now: Date): Column<ListedToken> => ({
  head: 'State',
  cell: (each) => mark('none', stateOf(each, now)),
})

const revokeColumn = (path: string, token: string | null): Column<ListedToken> => ({
  head: html`<span class="unseen">Action</span>`,
  cell: ({ id, name }) =>
    html`<form method="post" action="${path}/${id}/revoke">${csrfField(token)}<button aria-label="Revoke ${name} ${id}">Revoke</button></form>`,
})

const makeForm = (
  scopes: readonly string[],
  tags: readonly string[],
  token: string | null,
): Html => html`<section aria-labelledby="new"><h2 id="new">New token</h2>
<form method="post" action="/tokens" class="filters">${csrfField(token)}
<div class="fields">
<label>Name <input name="name" required maxlength="100" pattern="[A-Za-z0-9][A-Za-z0-9._@\\-]*" title="letters, digits and . _ - @, such as notebook" size="20" autocomplete="off"></label>
<label>Days (1 to ${LONGEST_PERSONAL_DAYS}) <input name="days" type="number" min="1" max="${LONGEST_PERSONAL_DAYS}" value="${USUAL_DAYS}" required></label>
<label>Only for the tag <input name="tag" list="tags" maxlength="200" size="12" autocomplete="off" placeholder="all of yours"></label>
<datalist id="tags">${tags.map((tag) => html`<option value="${tag}"></option>`)}</datalist>
</div>
<fieldset class="rights"><legend>It may</legend>
${scopes.map((scope) => html`<label><input type="checkbox" name="scope" value="${scope}"${isUsual(scope) ? ' checked' : ''}> <span><code>${scope}</code> ${meaningOf(parseScope(scope).right)}</span></label>\n`)}
</fieldset>
<p><button class="main">Make the token</button></p>
</form></section>`

/** What most programs need: least rights are chosen beforehand. */
const isUsual = (scope: string) => ['read', 'link'].includes(parseScope(scope).right)

function madeBody(made: {
  readonly id: number
  readonly name: string
  readonly secret: string
  readonly expiresAt: Date
  readonly isLasting: boolean
  readonly origin: string
}): Html {
  const url = new URL('/api/v1/runs', made.origin).href
  const settings = `export CYGNET_API_URL=${shellQuoted(made.origin)}\nexport CYGNET_API_TOKEN=${made.secret}`
  return html`<div class="title"><h1>New token</h1><p><a href="/tokens">Back to the tokens</a></p></div>
<p class="notice" role="status">The token “${made.name}” is valid until ${timeOf(made.expiresAt)}. Copy it now: it is not stored, and cannot be shown again.</p>
${made.isLasting ? NOTHING : html`<p>${mark('waiting', 'It sleeps')} an hour after each of your sign-ins. <a href="/sign-in?to=/tokens&amp;lasting=yes">Let your tokens last</a>, when you have copied it.</p>`}
<div class="text">
${copyable('secret', `Token ${made.id}`, made.secret)}
${copyable('settings', 'For the shell, where cygnet, curl and Python read it', settings)}
${copyable('as-curl', 'curl', curlOf(`${url}?limit=10`))}
${copyable('as-python', 'Python', pythonOf(url, [['limit', '10']]))}
</div>`
}
