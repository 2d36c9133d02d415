/**
 * The state of a Rucio server and its errors: files, replicas and rules. The errors are those of the real
 * server, also the surprising ones (a bad field is a 500; other checksums for a known file are accepted and
 * ignored). test/real/rucio.test.ts compares it with a real server. rucio-server.ts serves it over HTTP.
 */
import { createHash, randomBytes } from 'node:crypto'
import * as z from 'zod'

export interface RucioRse {
  readonly name: string
  readonly deterministic: boolean
  /** The common prefix of its addresses. */
  readonly prefix: string
  /** Prefixes of its other protocols, those it prefers first. */
  readonly otherPrefixes?: readonly string[]
  readonly quotaBytes?: number
}

export interface StoredFile {
  readonly scope: string
  readonly name: string
  readonly bytes: number
  readonly adler32: string | null
  readonly md5: string | null
  readonly replicas: Map<string, { pfn: string; state: string }>
}

export interface StoredRule {
  readonly id: string
  readonly scope: string
  readonly name: string
  readonly account: string
  readonly rse_expression: string
  readonly copies: number
  /** As the real server writes it: `Mon, 01 Jan 2024 00:00:00 UTC`. */
  expires_at: string | null
  readonly comments: string | null
  state: string
  error: string | null
  locks_ok_cnt: number
  locks_replicating_cnt: number
  locks_stuck_cnt: number
}

export interface RucioTransfer {
  readonly source: string
  readonly destination: string
  readonly adler32: string | null
  readonly sizeBytes: number
}

export interface RucioSetup {
  readonly account: string
  readonly scopes: readonly string[]
  readonly rses: readonly RucioRse[]
  /** Copies, or throws the reason why it cannot; absent: rules stay as the test sets them. */
  readonly transfer?: (transfer: RucioTransfer) => Promise<void>
}

const did = {
  scope: z.string().regex(/^[a-zA-Z_\-.0-9]{1,25}$/),
  name: z.string().regex(/^[/A-Za-z0-9][/A-Za-z0-9._-]{0,249}$/),
}
const registration = z.strictObject({
  rse: z.string(),
  files: z.array(
    z.strictObject({
      ...did,
      bytes: z.int().nonnegative(),
      adler32: z
        .string()
        .regex(/^[a-fA-F\d]{8}$/)
        .optional(),
      md5: z
        .string()
        .regex(/^[a-fA-F\d]{32}$/)
        .optional(),
      pfn: z.string().optional(),
      meta: z.record(z.string(), z.unknown()).optional(),
    }),
  ),
  ignore_availability: z.boolean().optional(),
})
const listing = z.strictObject({
  dids: z.array(z.strictObject({ scope: z.string(), name: z.string() })),
  rse_expression: z.string().nullish(),
  all_states: z.boolean().optional(),
  schemes: z.array(z.string()).nullish(),
})
const ruleRequest = z.strictObject({
  dids: z.array(z.strictObject({ scope: z.string(), name: z.string() })).length(1),
  account: z.string().regex(/^[a-z0-9-_]{1,25}$/),
  copies: z.int().positive(),
  rse_expression: z.string(),
  lifetime: z.number().nullish(),
  grouping: z.enum(['DATASET', 'NONE', 'ALL']).nullish(),
  source_replica_expression: z.string().nullish(),
  ask_approval: z.boolean().nullish(),
  asynchronous: z.boolean().nullish(),
  purge_replicas: z.boolean().optional(),
  ignore_availability: z.boolean().optional(),
  priority: z.int().optional(),
  comment: z.string().max(250).nullish(),
  meta: z.string().max(3999).nullish(),
})
const ruleChange = z.strictObject({
  options: z.strictObject({ state: z.string().optional(), lifetime: z.number().nullish() }),
})

export interface Reply {
  readonly status: number
  readonly body: string
  readonly type?: string
}

export const problem = (status: number, kind: string, message: string): Reply => ({
  status,
  body: JSON.stringify({ ExceptionClass: kind, ExceptionMessage: message }),
  type: 'application/octet-stream',
})
export const STREAM_TYPE = 'application/x-json-stream'
const stream = (values: readonly object[]): Reply => ({
  status: 200,
  body: values.map((value) => `${JSON.stringify(value)}\n`).join(''),
  type: STREAM_TYPE,
})

export type RucioState = ReturnType<typeof createRucioState>

export function createRucioState(options: RucioSetup) {
  const files = new Map<string, StoredFile>()
  const rules = new Map<string, StoredRule>()
  const rseOf = (name: string) => options.rses.find((rse) => rse.name === name)

  const place = (name: string, { scope, name: file }: { readonly scope: string; readonly name: string }) => {
    const hash = createHash('md5').update(`${scope}:${file}`).digest('hex')
    return `${rseOf(name)?.prefix}${scope}/${hash.slice(0, 2)}/${hash.slice(2, 4)}/${file}`
  }

  const register = (text: string): Reply => {
    const json = parsed(text)
    const body = registration.safeParse(json)
    if (!body.success)
      return problem(500, 'InvalidObject', `Problem validating dids: ${z.prettifyError(body.error)}`)
    const rse = rseOf(body.data.rse)
    if (rse === undefined) return problem(404, 'RSENotFound', `RSE '${body.data.rse}' cannot be found`)
    for (const { pfn, meta: _, ...file } of body.data.files) {
      if (!options.scopes.includes(file.scope)) return problem(404, 'ScopeNotFound', 'Scope not found!')
      if (pfn === undefined && !rse.deterministic)
        return problem(500, 'UnsupportedOperation', 'PFN needed for this (non deterministic) RSE')
      if (pfn !== undefined && !pfn.startsWith(rse.prefix))
        return problem(500, 'RSEFileNameNotSupported', 'Invalid hostname')
      if (pfn !== undefined && rse.deterministic && pfn !== place(rse.name, file))
        return problem(400, 'InvalidPath', 'does not match the expected PFNs')
      addFile({ ...file, adler32: file.adler32 ?? null, md5: file.md5 ?? null }, rse.name, pfn)
    }
    return { status: 201, body: 'Created', type: 'text/html; charset=utf-8' }
  }

  /** As in the real server, the metadata of a known file is kept, whatever a later request states. */
  const addFile = (file: Omit<StoredFile, 'replicas'>, rse: string, pfn = place(rse, file)) => {
    const key = `${file.scope}:${file.name}`
    const known = files.get(key) ?? { ...file, replicas: new Map() }
    files.set(key, known)
    if (!known.replicas.has(rse)) known.replicas.set(rse, { pfn, state: 'AVAILABLE' })
  }

  /** Without schemes, only the address of the protocol that it prefers. */
  const addressesOf = (rse: string, pfn: string, schemes: readonly string[] | null): readonly string[] => {
    const { prefix = '', otherPrefixes = [] } = rseOf(rse) ?? {}
    const all = [...otherPrefixes.map((other) => pfn.replace(prefix, other)), pfn]
    return schemes === null ? all.slice(0, 1) : all.filter((one) => schemes.includes(one.split(':')[0] ?? ''))
  }

  const describe = (scope: string, name: string): Reply => {
    const file = files.get(`${scope}:${name}`)
    if (file === undefined)
      return problem(404, 'DataIdentifierNotFound', `Data identifier '${scope}:${name}' not found`)
    const { replicas: _, ...known } = file
    const body = JSON.stringify({ ...known, type: 'FILE', account: 'root' })
    return { status: 200, body, type: 'application/json' }
  }

  const list = (text: string): Reply => {
    const body = listing.safeParse(parsed(text))
    if (!body.success) return problem(400, 'ValueError', 'cannot decode')
    const expression = body.data.rse_expression ?? null
    if (expression !== null && rseOf(expression) === undefined)
      return problem(500, 'InvalidRSEExpression', 'RSE Expression resulted in an empty set.')
    const known = body.data.dids
      .map(({ scope, name }) => files.get(`${scope}:${name}`))
      .filter((file) => file !== undefined)
    return stream(
      known.map(({ replicas, ...file }) => {
        const shown = [...replicas].filter(
          ([rse, { state }]) =>
            (expression ?? rse) === rse && (body.data.all_states === true || state === 'AVAILABLE'),
        )
        const places = shown
          .map(([rse, { pfn }]) => [rse, addressesOf(rse, pfn, body.data.schemes ?? null)] as const)
          .filter(([, addresses]) => addresses.length > 0)
        return {
          ...file,
          pfns: Object.fromEntries(
            places.flatMap(([rse, addresses]) =>
              addresses.map((pfn, index) => [pfn, { rse, domain: 'wan', priority: index + 1 }]),
            ),
          ),
          rses: Object.fromEntries(places),
          states: Object.fromEntries(shown.map(([rse, { state }]) => [rse, state])),
        }
      }),
    )
  }

  const addRule = (text: string): Reply => {
    const json = parsed(text)
    for (const field of ['dids', 'account', 'copies', 'rse_expression'])
      if (typeof json !== 'object' || json === null || !(field in json))
        return problem(400, 'KeyError', `'${field}' not defined`)
    const body = ruleRequest.safeParse(json)
    if (!body.success)
      return problem(409, 'InvalidObject', `Problem validating rule: ${z.prettifyError(body.error)}`)
    const { account, copies, rse_expression: rseName, lifetime = null, comment = null, dids } = body.data
    const rse = rseOf(rseName)
    if (rse === undefined)
      return problem(409, 'InvalidRSEExpression', 'RSE Expression resulted in an empty set.')
    const { scope, name } = dids[0] ?? { scope: '', name: '' }
    const file = files.get(`${scope}:${name}`)
    if (file === undefined)
      return problem(404, 'DataIdentifierNotFound', `Data identifier ${scope}:${name} is not valid.`)
    if (file.bytes > (rse.quotaBytes ?? Number.POSITIVE_INFINITY))
      return problem(
        409,
        'InsufficientAccountLimit',
        "There is insufficient quota on any of the target RSE's to fulfill the operation.",
      )
    const same = [...rules.values()].some(
      (rule) =>
        rule.scope === scope &&
        rule.name === name &&
        rule.account === account &&
        rule.rse_expression === rseName &&
        rule.copies === copies,
    )
    if (same)
      return problem(
        409,
        'DuplicateRule',
        'UNIQUE constraint failed: rules.scope, rules.name, rules.account, rules.rse_expression',
      )
    const done = file.replicas.get(rseName)?.state === 'AVAILABLE'
    if (!done) file.replicas.set(rseName, { pfn: place(rseName, file), state: 'COPYING' })
    const id = randomBytes(16).toString('hex')
    rules.set(id, {
      ...{
        id,
        scope,
        name,
        account,
        rse_expression: rseName,
        copies,
        expires_at: expiry(lifetime),
        comments: comment,
        error: null,
      },
      ...{
        state: done ? 'OK' : 'REPLICATING',
        locks_ok_cnt: done ? 1 : 0,
        locks_replicating_cnt: done ? 0 : 1,
        locks_stuck_cnt: 0,
      },
    })
    return { status: 201, body: JSON.stringify([id]), type: 'text/html; charset=utf-8' }
  }

  const changeRule = (id: string, text: string, isAdmin: boolean): Reply => {
    const rule = rules.get(id)
    const body = ruleChange.safeParse(parsed(text))
    if (!body.success) return problem(409, 'InputValidationError', 'not a valid option to set.')
    if (!isAdmin)
      return problem(401, 'AccessDenied', `Account ${options.account} can not update replication rule`)
    if (rule === undefined) return problem(404, 'RuleNotFound', `No rule with the id ${id} found`)
    const { state, lifetime } = body.data.options
    if (state?.toUpperCase() === 'STUCK') rule.state = 'STUCK'
    if (lifetime !== undefined) rule.expires_at = expiry(lifetime)
    return { status: 200, body: '' }
  }

  const fulfil = async (rule: StoredRule) => {
    const file = files.get(`${rule.scope}:${rule.name}`)
    const target = file?.replicas.get(rule.rse_expression)
    const source =
      [...(file?.replicas ?? [])].find(
        ([rse, { state }]) => rse !== rule.rse_expression && state === 'AVAILABLE',
      )?.[1].pfn ?? ''
    if (file === undefined || target === undefined || options.transfer === undefined) return
    const { adler32, bytes: sizeBytes } = file
    const failed = await options.transfer({ source, destination: target.pfn, adler32, sizeBytes }).then(
      () => null,
      (error: Error) => error.message,
    )
    target.state = failed === null ? 'AVAILABLE' : 'COPYING'
    const locks = {
      locks_ok_cnt: failed === null ? 1 : 0,
      locks_replicating_cnt: 0,
      locks_stuck_cnt: failed === null ? 0 : 1,
    }
    Object.assign(rule, { state: failed === null ? 'OK' : 'STUCK', error: failed, ...locks })
  }

  /**
   * The rules with these fields. A field that rules do not have is a server error, as in the real server.
   */
  const findRules = (wanted: readonly (readonly [string, string])[]): Reply => {
    if (wanted.some(([field]) => !['scope', 'name', 'account', 'rse_expression'].includes(field)))
      return { status: 500, body: 'no such attribute' }
    return stream(
      [...rules.values()].filter((rule) =>
        wanted.every(([field, value]) => rule[field as 'scope'] === value),
      ),
    )
  }

  const showRule = (id: string): Reply => {
    const rule = rules.get(id)
    if (rule === undefined) return problem(404, 'RuleNotFound', `No rule with the id ${id} found`)
    return { status: 200, body: JSON.stringify(rule), type: 'application/json' }
  }

  return {
    files,
    rules,
    place,
    know: addFile,
    register,
    describe,
    list,
    addRule,
    changeRule,
    findRules,
    tellRule: showRule,
    fulfil,
  }
}

const expiry = (lifetimeSeconds: number | null) =>
  lifetimeSeconds === null
    ? null
    : new Date(Date.now() + lifetimeSeconds * 1000).toUTCString().replace('GMT', 'UTC')

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
