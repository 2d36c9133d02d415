/**
 * The part of Rucio's REST interface (rucio, web/rest/flaskapi/v1) that copies need: register a replica, add
 * a rule for another copy of it, and read the state of both.
 */
import { TransientError } from '../../errors.ts'
import { checkedUrl, type HttpOptions } from '../tokens/http.ts'
import { createService } from '../tokens/service.ts'
import type { TokenSource } from '../tokens/token-source.ts'
import {
  failure,
  identifier,
  messageOf,
  onlyOne,
  parseLines,
  problemOf,
  type RucioReplica,
  type RucioRule,
  replica,
  rule,
  ruleIds,
  STREAM_TYPE,
} from './answers.ts'

/** A data identifier. */
export interface Did {
  readonly scope: string
  readonly name: string
}

export interface NewReplica extends Did {
  readonly bytes: number
  readonly adler32: string
  readonly md5: string
  /** Its address, where the RSE does not derive it from the name. */
  readonly pfn?: string
}

export interface NewRule {
  readonly rse: string
  readonly lifetimeSeconds: number | null
  readonly comment: string
}

export interface RucioClientOptions extends HttpOptions {
  readonly url: string
  readonly tokens: TokenSource
  readonly account: string
}

export interface RucioClient {
  readonly url: URL
  /**
   * Registers the file on the RSE. Success proves nothing: Rucio accepts a registration with other checksums
   * than it has, and keeps its own.
   */
  register(rse: string, file: NewReplica, signal: AbortSignal): Promise<void>
  /**
   * Rucio's entry for a file, with its replica on this RSE (on all RSEs for null); null when it does not know
   * the file.
   */
  find(did: Did, rse: string | null, signal: AbortSignal): Promise<RucioReplica | null>
  /**
   * The id of the new rule, or null when a rule exists for this file, account and RSE. @throws TransientError
   * also when the rule may have been created.
   */
  addRule(did: Did, wanted: NewRule, signal: AbortSignal): Promise<string | null>
  rule(id: string, signal: AbortSignal): Promise<RucioRule | null>
  /** The rule of our account that protects one copy of the file on this RSE. */
  findRule(did: Did, rse: string, signal: AbortSignal): Promise<RucioRule | null>
  /** `STUCK` makes Rucio resume a rule that it gave up; without a lifetime, a rule is permanent. */
  change(
    id: string,
    options: { readonly state: 'STUCK' } | { readonly lifetime: null },
    signal: AbortSignal,
  ): Promise<void>
  close(): Promise<void>
}

const JSON_TYPE = 'application/json'
/**
 * The addresses that our driver of tape endpoints can use. Asked for none, Rucio gives one address, of the
 * protocol that it prefers: often root.
 */
const SCHEMES = ['davs', 'https', 'dav', 'http']

export function createRucioClient(options: RucioClientOptions): RucioClient {
  const { account } = options
  const url = checkedUrl('CYGNET_RUCIO_URL', options.url)
  const service = createService({
    ...options,
    name: 'Rucio',
    url,
    headers: (token): Record<string, string> => ({
      'x-rucio-account': account,
      ...(token === null ? {} : { 'x-rucio-auth-token': token }),
    }),
    // A missing permission has the same status as an invalid token.
    refusesToken: (text) => problemOf(text).kind !== 'AccessDenied',
    messageOf,
  })
  const sameFile = (did: Did) => (found: Did) => found.scope === did.scope && found.name === did.name

  /**
   * Called before an empty list counts: a gateway in place of Rucio sends an empty answer as well, so Rucio itself
   * must state whether it has the file. @throws TransientError when it does neither.
   */
  async function assertKnows(did: Did, signal: AbortSignal): Promise<void> {
    const path = `dids/${[did.scope, ...did.name.split('/')].map(encodeURIComponent).join('/')}`
    const answer = await service.call({ method: 'GET', path, accept: JSON_TYPE }, signal)
    if (answer.status === 404 && problemOf(answer.text).kind === 'DataIdentifierNotFound') return
    if (answer.status !== 200) throw failure(service, 'does not report whether it has the file', answer)
    if (!sameFile(did)(service.parse('reported whether it has the file', answer, identifier)))
      throw new TransientError(`Rucio was asked for ${did.name} and reported another file`)
  }

  return {
    url,
    async register(rse, file, signal) {
      const body = { rse, files: [file], ignore_availability: true }
      const answer = await service.call(
        { method: 'POST', path: 'replicas/', accept: JSON_TYPE, body },
        signal,
      )
      const known = ['Duplicate', 'DataIdentifierAlreadyExists'].includes(problemOf(answer.text).kind)
      if (answer.status !== 201 && !(answer.status === 409 && known))
        throw failure(service, 'did not register the file', answer)
    },
    async find(did, rse, signal) {
      const body = {
        dids: [did],
        all_states: true,
        schemes: SCHEMES,
        ...(rse === null ? {} : { rse_expression: rse }),
      }
      const answer = await service.call(
        { method: 'POST', path: 'replicas/list', accept: STREAM_TYPE, body },
        signal,
      )
      if (answer.status === 404 && problemOf(answer.text).kind === 'DataIdentifierNotFound') return null
      if (answer.status !== 200) throw failure(service, 'does not report where the file is', answer)
      const what = 'reported where the file is'
      const found = onlyOne(what, parseLines(what, answer, replica).filter(sameFile(did)))
      if (found === null) await assertKnows(did, signal)
      return found
    },
    async addRule(did, wanted, signal) {
      const answer = await service.call(
        { method: 'POST', path: 'rules/', accept: JSON_TYPE, body: ruleBody(did, account, wanted) },
        signal,
      )
      if (answer.status === 409 && problemOf(answer.text).kind === 'DuplicateRule') return null
      if (answer.status !== 201) throw failure(service, 'did not create a rule', answer)
      const [id = ''] = service.parse('created a rule', answer, ruleIds)
      return id
    },
    async rule(id, signal) {
      const answer = await service.call(
        { method: 'GET', path: `rules/${encodeURIComponent(id)}`, accept: JSON_TYPE },
        signal,
      )
      if (answer.status === 404 && problemOf(answer.text).kind === 'RuleNotFound') return null
      if (answer.status !== 200) throw failure(service, `does not report the state of rule ${id}`, answer)
      const found = service.parse(`reported the state of rule ${id}`, answer, rule)
      if (found.id !== id) throw new TransientError(`Rucio was asked for rule ${id} and reported another one`)
      return found
    },
    async findRule(did, rse, signal) {
      const query = new URLSearchParams({ ...did, account, rse_expression: rse })
      const answer = await service.call(
        { method: 'GET', path: `rules/?${query}`, accept: STREAM_TYPE },
        signal,
      )
      if (answer.status === 404 && problemOf(answer.text).kind === 'RuleNotFound') return null
      if (answer.status !== 200) throw failure(service, 'does not list the rules', answer)
      const what = 'listed the rules'
      const rules = parseLines(what, answer, rule).filter(sameFile(did))
      const isOurs = (found: RucioRule) =>
        found.account === account && found.rse_expression === rse && found.copies === 1
      const found = onlyOne(what, rules.filter(isOurs))
      if (found === null) await assertKnows(did, signal)
      return found
    },
    async change(id, options, signal) {
      const path = `rules/${encodeURIComponent(id)}`
      const answer = await service.call({ method: 'PUT', path, accept: JSON_TYPE, body: { options } }, signal)
      const what = 'state' in options ? `did not resume rule ${id}` : `did not make rule ${id} permanent`
      if (answer.status !== 200) throw failure(service, what, answer)
    },
    close: () => service.close(),
  }
}

/** The body of `POST /rules/`. Omitted fields have Rucio's defaults. */
function ruleBody(did: Did, account: string, wanted: NewRule): object {
  return {
    dids: [did],
    account,
    copies: 1,
    rse_expression: wanted.rse,
    lifetime: wanted.lifetimeSeconds,
    grouping: 'DATASET',
    purge_replicas: false,
    ignore_availability: false,
    ask_approval: false,
    asynchronous: false,
    priority: 3,
    comment: wanted.comment,
  }
}
