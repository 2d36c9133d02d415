/**
 * The access token of a login, renewed shortly before it expires. When several commands run at the same time,
 * one renews it for all.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { TransientError } from '../../shared/errors.ts'
import { releaseLock, takeLock } from '../push/lock.ts'
import { refresh } from './iam.ts'
import { type Login, loginFile, readLogin, writeLogin } from './store.ts'

/** Renewed so long before it expires: a request takes time, and clocks differ. */
const EARLY_MS = 60_000
const LOCK_TRIES = 150
const LOCK_PAUSE_MS = 200

/**
 * Null without a sign-in to this API.
 * @param refused a token that the API did not accept: it is renewed although it has not expired.
 * @throws InvalidInputError when the sign-in has ended.
 */
export async function accessToken(
  api: URL,
  signal: AbortSignal,
  refused: string | null = null,
): Promise<string | null> {
  const isGood = (login: Login) => login.accessToken !== refused && login.expiresAtMs - Date.now() > EARLY_MS
  const login = readLogin(api)
  if (login === null || isGood(login)) return login?.accessToken ?? null
  // A refresh token may be valid only once: a second use would end the sign-in.
  return await locked(signal, async () => {
    const now = readLogin(api)
    if (now === null || isGood(now)) return now?.accessToken ?? null
    const renewed = await refresh(now, signal)
    writeLogin(api, renewed)
    return renewed.accessToken
  })
}

async function locked<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  const lock = `${loginFile()}.lock`
  for (let tries = 0; takeLock(lock) !== null; tries++) {
    if (tries >= LOCK_TRIES) throw new TransientError(`another cygnet command holds ${lock}`)
    await sleep(LOCK_PAUSE_MS, undefined, { signal })
  }
  try {
    return await work()
  } finally {
    releaseLock(lock)
  }
}
