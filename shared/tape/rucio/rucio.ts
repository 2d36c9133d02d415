/**
 * Copies made by Rucio: our file is registered at its source RSE, and a rule requires one copy on the tape
 * RSE. Rucio transfers, verifies, retries and protects the copy; no byte passes through us.
 *
 * Neither a created rule nor an accepted registration proves a copy: Rucio accepts a registration with other
 * checksums and keeps its own. A copy counts when the rule is OK and has no expiry, all its locks are OK, the
 * replica is AVAILABLE, Rucio's entry has our size and checksums, and, where the tape endpoint itself can be
 * asked (`destination`), that returns our checksum.
 *
 * Rucio has one rule per file, account and RSE, however often it is requested, so the attempt number has no
 * effect. It retries a failing transfer (STUCK) for two weeks before it gives the rule up (SUSPENDED); a new
 * attempt then makes Rucio resume it.
 */
import { InvalidInputError, TransientError } from '../../errors.ts'
import { checkEach } from '../check-each.ts'
import type {
  CheckOptions,
  CopyResult,
  CopySource,
  StageResult,
  TapeCheck,
  TapeDriver,
  TapeFile,
} from '../driver.ts'
import { shown } from '../http/failures.ts'
import { checkedName, encodedName, tapeName } from '../names.ts'
import type { RucioReplica, RucioRule } from './answers.ts'
import {
  createRucioClient,
  type Did,
  type NewRule,
  type RucioClient,
  type RucioClientOptions,
} from './client.ts'
import { didOf, differenceOf, nameAt } from './compare.ts'

export interface RucioOptions extends RucioClientOptions {
  /** The RSE of our store. */
  readonly sourceRse: string
  /**
   * Address of our store at the source RSE, put before `<bucket>/<key>`; absent for a deterministic RSE,
   * which derives addresses itself.
   */
  readonly sourcePrefix?: string | undefined
  readonly tapeRse: string
  /**
   * The tape endpoint (a webdav driver), where it can be reached: verifies and reads. Closed together with
   * this driver.
   */
  readonly destination?: TapeDriver | undefined
  /** Longest lifetime of a rule that recalls a file; absent means 90 days, as the experiment uses. */
  readonly stageSecondsMost?: number | undefined
}

const STAGE_SECONDS_MOST = 90 * 86_400

/** @throws InvalidInputError for an invalid address. */
export function createRucioDriver(options: RucioOptions): TapeDriver {
  const { destination, tapeRse } = options
  const rucio = createRucioClient(options)
  const base = rucio.url.href.replace(/\/*$/, '/')
  const url = (name: string) => {
    const did = didOf(name)
    return `${base}replicas/${encodeURIComponent(did.scope)}/${encodedName(did.name)}`
  }
  return {
    kind: 'rucio',
    endpoint: `${base}rses/${encodeURIComponent(tapeRse)}`,
    url,
    copy: (file, source, _options, signal) => copy(rucio, options, file, source, signal),
    check: (file, checkOptions, signal) => check(rucio, options, file, checkOptions, signal),
    async stage(file, stageOptions, signal) {
      if (destination === undefined) return await recallToStore(rucio, options, file, stageOptions, signal)
      return await destination.stage(
        await atEndpoint(rucio, tapeRse, destination, file, signal),
        stageOptions,
        signal,
      )
    },
    ...(destination?.stageAll === undefined
      ? {}
      : { stageAll: stageAllAt(rucio, tapeRse, destination, destination.stageAll.bind(destination)) }),
    async release(file, reference, signal, round) {
      // Without an endpoint the reference is a rule for our own store (see `bringBack`). It is left to its
      // end: once no rule keeps a replica, Rucio may delete the file, and that file is what was just brought
      // back.
      if (destination === undefined) return
      const named = await nameIfKnown(rucio, tapeRse, destination, file, signal)
      // Of a file without a replica no request keeps anything.
      if (named !== null) await destination.release(named, reference, signal, round)
    },
    async *read(file, signal) {
      checkedName(file.name)
      if (destination === undefined)
        throw new TransientError('the tape endpoint cannot be read from here: CYGNET_TAPE_URL is not set', {
          operator: true,
        })
      yield* destination.read(await atEndpoint(rucio, tapeRse, destination, file, signal), signal)
    },
    async close() {
      await Promise.all([rucio.close(), destination?.close()])
    },
  }
}

/** As `atEndpoint`; null for a file of which Rucio has no replica there. */
const nameIfKnown = (...of: Parameters<typeof atEndpoint>): Promise<TapeFile | null> =>
  atEndpoint(...of).catch((error: unknown) => {
    if (error instanceof InvalidInputError) return null
    throw error
  })

/** As TapeDriver.stageAll, under the names that Rucio has given the files at the endpoint. */
function stageAllAt(
  rucio: RucioClient,
  tapeRse: string,
  destination: TapeDriver,
  stageAll: NonNullable<TapeDriver['stageAll']>,
): NonNullable<TapeDriver['stageAll']> {
  return async (files, options, signal) => {
    const nameOf = (file: TapeFile) => nameIfKnown(rucio, tapeRse, destination, file, signal)
    const names = await checkEach(files, nameOf, options.checkSeconds, signal)
    const there = new Map([...names].flatMap(([file, named]) => (named === null ? [] : [[named, file]])))
    if (there.size === 0) return null
    const staged = await stageAll([...there.keys()], options, signal)
    if (staged === null) return null
    const ours = (some: readonly TapeFile[]) => some.flatMap((file) => there.get(file) ?? [])
    const unnamed = [...names].flatMap(([file, named]) => (named === null ? [file] : []))
    return { ...staged, files: ours(staged.files), leftOut: [...unnamed, ...ours(staged.leftOut)] }
  }
}

async function copy(
  rucio: RucioClient,
  options: RucioOptions,
  file: TapeFile,
  source: CopySource,
  signal: AbortSignal,
): Promise<CopyResult> {
  signal.throwIfAborted()
  const did = didOf(file.name)
  // Checked before the registration: Rucio would otherwise record a replica of the other file at our address.
  const known = await rucio.find(did, null, signal)
  const difference = known === null ? null : differenceOf(file, known)
  if (difference !== null) return { kind: 'occupied', reason: difference }
  const address = sourceAddress(options, file, source)
  await rucio.register(
    options.sourceRse,
    { ...did, bytes: file.sizeBytes, adler32: file.adler32, md5: file.md5, ...address },
    signal,
  )
  const registered = await rucio.find(did, options.sourceRse, signal)
  // Another process may have registered it first.
  const registeredDifference = registered === null ? null : differenceOf(file, registered)
  if (registeredDifference !== null) return { kind: 'occupied', reason: registeredDifference }
  const state = registered?.states?.[options.sourceRse] ?? 'not there'
  if (state !== 'AVAILABLE')
    throw new TransientError(`the replica on ${options.sourceRse} is ${state}: Rucio cannot copy from it`)
  const comment = `Cygnet: second copy of run ${file.runNumber} (${file.tag})`
  const rule = await ensureRule(rucio, did, { rse: options.tapeRse, lifetimeSeconds: null, comment }, signal)
  return { kind: 'submitted', reference: rule }
}

/** `pfn` for a non-deterministic RSE. The object keeps its own address when its copy has another name. */
function sourceAddress(options: RucioOptions, file: TapeFile, source: CopySource): { readonly pfn?: string } {
  const name = tapeName(source.object)
  if (options.sourcePrefix !== undefined)
    return { pfn: options.sourcePrefix.replace(/\/*$/, '/') + encodedName(name) }
  if (file.name === name) return {}
  throw new InvalidInputError(
    `the copy cannot be named ${file.name}: a deterministic source RSE has files by the names of their objects only (CYGNET_RUCIO_SOURCE_PREFIX)`,
  )
}

/** The id of the rule, new or existing. If the reply to the creation was lost, the rule is looked up. */
async function ensureRule(
  rucio: RucioClient,
  did: Did,
  wanted: NewRule,
  signal: AbortSignal,
): Promise<string> {
  const added = await rucio.addRule(did, wanted, signal).catch((error: unknown) => {
    signal.throwIfAborted()
    if (error instanceof TransientError && error.details.operator !== true) return error
    throw error
  })
  if (typeof added === 'string') return added
  const found = await rucio.findRule(did, wanted.rse, signal)
  if (found === null)
    throw (
      added ??
      new TransientError(
        'Rucio reports that the rule exists, but does not list it: perhaps it is being deleted',
      )
    )
  if (found.state === 'SUSPENDED') await rucio.change(found.id, { state: 'STUCK' }, signal)
  if (wanted.lifetimeSeconds === null && found.expires_at != null)
    await rucio.change(found.id, { lifetime: null }, signal)
  return found.id
}

async function check(
  rucio: RucioClient,
  options: RucioOptions,
  file: TapeFile,
  checkOptions: CheckOptions,
  signal: AbortSignal,
): Promise<TapeCheck> {
  const { tapeRse } = options
  const { reference } = checkOptions
  const did = didOf(file.name)
  const known = await rucio.find(did, tapeRse, signal)
  const difference = known === null ? null : differenceOf(file, known)
  if (difference !== null) return { kind: 'different', evidence: 'statement', reason: difference }
  const rule =
    (reference === null ? null : await ruleOf(rucio, did, tapeRse, reference, signal)) ??
    (await rucio.findRule(did, tapeRse, signal))
  // Rucio may delete a replica that no rule protects: it does not count as a copy.
  if (rule === null)
    return reference === null
      ? { kind: 'absent', evidence: 'statement' }
      : { kind: 'failed', reason: `rule ${reference} no longer exists` }
  if (rule.state === 'SUSPENDED') return { kind: 'failed', reason: describe(rule) }
  // A rule of someone else: Rucio would delete the copy when it expires. A new attempt makes it permanent.
  if (rule.expires_at != null)
    return { kind: 'failed', reason: `${describe(rule)}, and ends on ${shown(rule.expires_at)}` }
  if (!isFulfilled(rule)) {
    const reason = describe(rule)
    if (IN_PROGRESS.has(rule.state)) return { kind: 'in-progress', reason }
    return { kind: 'in-progress', isUnknown: true, reason: `${reason}, which is not known to be in progress` }
  }
  if (known === null)
    return { kind: 'unverified', reason: `${describe(rule)}, but Rucio does not report the file` }
  return await verify(options, file, known, checkOptions, signal)
}

async function ruleOf(
  rucio: RucioClient,
  did: Did,
  rse: string,
  id: string,
  signal: AbortSignal,
): Promise<RucioRule | null> {
  const rule = await rucio.rule(id, signal)
  if (rule !== null && (rule.scope !== did.scope || rule.name !== did.name || rule.rse_expression !== rse))
    return null
  return rule
}

/** States of rules that Rucio still works on; OK where its locks are not done yet. */
const IN_PROGRESS: ReadonlySet<string> = new Set(['OK', 'REPLICATING', 'STUCK', 'WAITING_APPROVAL', 'INJECT'])

const isFulfilled = (rule: RucioRule) =>
  rule.state === 'OK' &&
  rule.locks_ok_cnt === rule.copies &&
  rule.locks_replicating_cnt === 0 &&
  rule.locks_stuck_cnt === 0

const describe = (rule: RucioRule) =>
  `Rucio rule ${rule.id} is ${shown(rule.state)} (${rule.locks_ok_cnt} of ${rule.copies} done)${rule.error ? `: ${shown(rule.error)}` : ''}`

/** Called when the rule is fulfilled and Rucio's entry matches the file: verifies the replica itself. */
async function verify(
  { destination, tapeRse }: RucioOptions,
  file: TapeFile,
  known: RucioReplica,
  options: CheckOptions,
  signal: AbortSignal,
): Promise<TapeCheck> {
  const state = known.states?.[tapeRse] ?? 'not there'
  if (state === 'COPYING') return { kind: 'in-progress', reason: `the replica on ${tapeRse} is COPYING` }
  if (state !== 'AVAILABLE')
    return { kind: 'unverified', reason: `the rule is OK, but the replica on ${tapeRse} is ${state}` }
  if (destination === undefined) {
    if (options.readBack === 'always')
      return {
        kind: 'unverified',
        reason: 'the tape endpoint cannot be read from here: CYGNET_TAPE_URL is not set',
      }
    // Rucio compares the checksum on tape after the transfer, and its rules wait for the medium.
    return {
      kind: 'present',
      verifiedBy: 'Rucio: rule OK, replica AVAILABLE',
      evidence: 'statement',
      onMedia: true,
    }
  }
  const addresses = known.rses?.[tapeRse] ?? []
  const name = nameAt(destination, addresses)
  if (name === null) return { kind: 'unverified', reason: notBelow(destination, addresses) }
  const found = await destination.check({ ...file, name }, { ...options, reference: null }, signal)
  if (found.kind === 'absent')
    return {
      kind: 'failed',
      reason: `Rucio reports it as OK, but there is no file at ${destination.url(name)}`,
    }
  return found.kind === 'present'
    ? { ...found, verifiedBy: `Rucio: rule OK, replica AVAILABLE; ${found.verifiedBy}` }
    : found
}

/**
 * The file under its name at the tape endpoint. @throws InvalidInputError when Rucio knows no replica on the
 * tape RSE.
 */
async function atEndpoint(
  rucio: RucioClient,
  rse: string,
  destination: TapeDriver,
  file: TapeFile,
  signal: AbortSignal,
): Promise<TapeFile> {
  const known = await rucio.find(didOf(file.name), rse, signal)
  if (known !== null && known.states == null)
    throw new TransientError(`Rucio does not state where it has ${file.name}`)
  if (known?.states?.[rse] === undefined)
    throw new InvalidInputError(`Rucio knows no replica of ${file.name} on ${rse}`)
  const addresses = known.rses?.[rse] ?? []
  const name = nameAt(destination, addresses)
  if (name !== null) return { ...file, name }
  throw new TransientError(`${file.name}: ${notBelow(destination, addresses)}`, { operator: true })
}

const notBelow = (destination: TapeDriver, addresses: readonly string[]) =>
  addresses.length === 0
    ? 'Rucio gives no davs or https address of it'
    : `Rucio has it at ${shown(addresses.join(', '))}, which is not below ${destination.endpoint} (CYGNET_TAPE_URL)`

/**
 * Without a readable endpoint, Rucio itself recalls the file to the source RSE, which is our store: `online`
 * then means that the object exists again. Rucio is not informed of deletions by others on that RSE and
 * assumes that the file is still there.
 */
async function recallToStore(
  rucio: RucioClient,
  options: RucioOptions,
  file: TapeFile,
  { reference, lifetimeSeconds }: { readonly reference: string | null; readonly lifetimeSeconds: number },
  signal: AbortSignal,
): Promise<StageResult> {
  const did = didOf(file.name)
  if ((await rucio.find(did, options.tapeRse, signal)) === null)
    throw new InvalidInputError(`Rucio does not know ${file.name}`)
  const wanted: NewRule = {
    rse: options.sourceRse,
    lifetimeSeconds: Math.min(lifetimeSeconds, options.stageSecondsMost ?? STAGE_SECONDS_MOST),
    comment: `Cygnet: run ${file.runNumber} (${file.tag}) brought back`,
  }
  const existing = reference === null ? null : await ruleOf(rucio, did, options.sourceRse, reference, signal)
  const id = existing?.id ?? (await ensureRule(rucio, did, wanted, signal))
  const rule = existing ?? (await rucio.rule(id, signal))
  if (rule !== null && isFulfilled(rule)) return { kind: 'online', reference: id }
  return {
    kind: 'staging',
    reference: id,
    reason: rule === null ? `Rucio rule ${id} is being created` : describe(rule),
  }
}
