/**
 * Copies at a grid storage endpoint over HTTP: StoRM WebDAV, dCache, XRootD. The endpoint itself fetches a
 * file from a presigned link where it can (third-party copy: no byte passes through us); else the file is
 * streamed through this process. It is written under a temporary name, its checksum compared, and then
 * renamed, never onto another file.
 *
 * Where the endpoint has a WLCG Tape REST API, that API reports what is on media and stages files. Otherwise
 * the endpoint counts as the medium itself: see tape-system.ts.
 */
import { TransientError } from '../../errors.ts'
import type { Logger } from '../../log.ts'
import type { TapeDriver } from '../driver.ts'
import type { TokenSource } from '../tokens/token-source.ts'
import { copyFile } from './copy.ts'
import { createDestinations } from './destination.ts'
import type { Endpoint, ThirdPartyMemory, TransferLimits } from './endpoint.ts'
import { createFolders } from './folders.ts'
import { createTapeHttp } from './http.ts'
import { listFiles } from './list.ts'
import { assertAbsent, checkCopy, nameInUse, releaseFile, stageFile, stageFiles } from './media.ts'
import { createPlaces } from './places.ts'
import { readBytes } from './read.ts'
import { sendFile } from './send.ts'
import { createTapeSystem, type TapeSystemOptions } from './tape-system.ts'

export interface WebdavOptions extends TapeSystemOptions {
  /** Root of the copies: `davs://`, `https://`, or `dav://`, `http://` without TLS. */
  readonly rootUrl: string
  /** PEM file with certificate authorities of the endpoint, in addition to Node's own. */
  readonly caFile?: string | undefined
  readonly token: TokenSource
  /** `auto`: the endpoint copies by itself where it can. */
  readonly thirdParty: 'auto' | 'never'
  /** Longest time one copy, or sending one file, may take. */
  readonly copySeconds: number
  readonly log?: Logger | undefined
  /** For tests: shorter limits, and the monotonic clock (milliseconds). */
  readonly limits?: Partial<Omit<TransferLimits, 'copySeconds'>>
  readonly now?: () => number
}

const DEFAULT_LIMITS = {
  silenceSeconds: 90,
  progressSeconds: 300,
  settleSeconds: 5,
  withoutThirdPartySeconds: 600,
} as const

/** @throws InvalidInputError when the address or the CA file is not usable. */
export function createWebdavDriver(options: WebdavOptions): TapeDriver {
  const endpoint = openEndpoint(options)
  const { places, http, limits } = endpoint
  return {
    kind: 'webdav',
    endpoint: places.root.href,
    url: places.url,
    copy: (file, source, { thirdParty = true }, signal) =>
      withinSeconds(limits.copySeconds, `the copy of ${file.name}`, signal, (limited) =>
        copyFile(endpoint, { file, source, thirdParty }, limited),
      ),
    async check(file, checkOptions, signal) {
      const found = await checkCopy(endpoint, file, checkOptions, signal)
      if (found.kind === 'absent')
        await assertAbsent(endpoint, file.name, checkOptions.wasThere === true ? 'checked' : 'no', signal)
      return found
    },
    stage: (file, stageOptions, signal) => stageFile(endpoint, file, stageOptions, signal),
    stageAll: (files, stageOptions, signal) => stageFiles(endpoint, files, stageOptions, signal),
    release: (file, reference, signal, round) => releaseFile(endpoint, file, reference, signal, round),
    async *read(file, signal) {
      const name = await nameInUse(endpoint, file, signal)
      if (name === null) throw new TransientError(`the tape endpoint has no ${file.name}`, { missing: true })
      yield* readBytes(http, { url: places.url(name), file }, signal)
    },
    send: (file, putUrl, signal) =>
      withinSeconds(limits.copySeconds, `sending ${file.name}`, signal, (limited) =>
        sendFile(endpoint, file, putUrl, limited),
      ),
    list: (prefix, signal) => listFiles(endpoint, prefix, signal),
    async close() {
      http.close()
    },
  }
}

function openEndpoint(options: WebdavOptions): Endpoint {
  const places = createPlaces(options.rootUrl)
  const http = createTapeHttp({ caFile: options.caFile, token: options.token })
  const now = options.now ?? (() => performance.now())
  const limits = { copySeconds: options.copySeconds, ...DEFAULT_LIMITS, ...options.limits }
  const log = options.log ?? null
  return {
    http,
    places,
    limits,
    now,
    folders: createFolders(http, places),
    destinationOf: createDestinations({ http, places, log }),
    thirdParty: rememberThirdParty(
      options.thirdParty === 'auto',
      limits.withoutThirdPartySeconds * 1000,
      now,
    ),
    tapeSystem: createTapeSystem({ http, places }, options),
    log,
  }
}

function rememberThirdParty(wanted: boolean, pauseMs: number, now: () => number): ThirdPartyMemory {
  const pausedUntil = { pull: 0, push: 0 }
  return {
    isWorthTrying: (direction) => wanted && (pausedUntil[direction] === 0 || now() >= pausedUntil[direction]),
    failed(direction) {
      pausedUntil[direction] = now() + pauseMs
    },
  }
}

/** @throws TransientError when the time is over. */
async function withinSeconds<T>(
  seconds: number,
  what: string,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const limit = new AbortController()
  const timer = setTimeout(
    () => limit.abort(new TransientError(`${what} took longer than ${seconds} s and was given up`)),
    seconds * 1000,
  )
  try {
    return await work(AbortSignal.any([signal, limit.signal]))
  } finally {
    clearTimeout(timer)
  }
}
