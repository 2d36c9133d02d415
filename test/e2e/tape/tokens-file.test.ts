import { fork } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { temporaryFolder } from '../../../infra/local/testing.ts'
import { createTokenSource, type TokenSourceOptions } from '../../../shared/tape/tokens/tokens.ts'
import { IAM_CLIENT, type IamServer, startIamServer } from '../../support/iam-server.ts'
import { LONGEST_WAIT_SECONDS } from '../../support/waiting.ts'

const { signal } = new AbortController()
let iam: IamServer
let folder: string
let cacheFile: string
let nowMs = Date.now()
const source = (more: Partial<TokenSourceOptions> = {}) =>
  createTokenSource({
    tokenUrl: iam.url,
    ...IAM_CLIENT,
    cacheFile,
    now: () => nowMs,
    timeoutSeconds: LONGEST_WAIT_SECONDS,
    ...more,
  })

beforeAll(async () => {
  iam = await startIamServer()
})
afterAll(() => iam.close())
beforeEach(() => {
  folder = join(temporaryFolder(), 'tokens')
  mkdirSync(folder)
  cacheFile = join(folder, 'tokens.json')
  iam.setRotation(false)
})

it('only its owner can read the file, and no other file is left in the folder', async () => {
  const mask = process.umask(0)
  try {
    await source().token(signal)
  } finally {
    process.umask(mask)
  }
  expect(statSync(cacheFile).mode & 0o777).toBe(0o600)
  expect(readdirSync(folder)).toEqual(['tokens.json'])
})

it('another process uses the token of the first', async () => {
  const before = iam.requests.length
  const first = await source().token(signal)
  expect(await source().token(signal)).toBe(first)
  expect(iam.requests.length - before).toBe(1)
})

it('many processes that start at the same time with a single-use refresh token all get a token', async () => {
  iam.setRotation(true)
  const timeoutSeconds = LONGEST_WAIT_SECONDS
  const options = {
    tokenUrl: iam.url,
    ...IAM_CLIENT,
    cacheFile,
    refreshToken: iam.refreshToken,
    timeoutSeconds,
  }
  const script = join(folder, 'child.ts')
  const module = new URL('../../../shared/tape/tokens/tokens.ts', import.meta.url).href
  writeFileSync(
    script,
    `import { createTokenSource } from '${module}'
     const token = await createTokenSource(JSON.parse(process.argv[2])).token(new AbortController().signal)
     process.send(token, () => process.exit(0))`,
  )
  const ask = () =>
    new Promise<unknown>((resolve, reject) => {
      const child = fork(script, [JSON.stringify(options)], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
      child.once('message', resolve)
      child.once('exit', (code) => reject(new Error(`ended with ${code} and no token`)))
    })
  const tokens = await Promise.all(Array.from({ length: 4 }, ask))
  expect(new Set(tokens)).toEqual(new Set([iam.issued.at(-1)]))
})

it('a rotated refresh token is available to later processes', async () => {
  iam.setRotation(true)
  const refreshToken = iam.refreshToken
  await source({ refreshToken }).token(signal)
  expect(iam.refreshToken).not.toBe(refreshToken)
  nowMs += 3_600_000
  expect(await source({ refreshToken }).token(signal)).toBe(iam.issued.at(-1))
})

it('a new refresh token in the settings replaces the tokens of the old one', async () => {
  await source({ refreshToken: iam.refreshToken }).token(signal)
  const before = iam.requests.length
  iam.revoke()
  await source({ refreshToken: iam.refreshToken }).token(signal)
  expect(iam.requests.at(-1)?.refresh_token).toBe(iam.refreshToken)
  expect(iam.requests.length - before).toBe(1)
})

it('a token of another client or scope in the file is not used', async () => {
  const first = await source().token(signal)
  expect(await source({ scope: 'storage.read:/' }).token(signal)).not.toBe(first)
})

it.each([
  ['that others may read', () => chmodSync(cacheFile, 0o644), /others may read or write it \(mode 644\)/],
  ['that a group may write', () => chmodSync(cacheFile, 0o620), /others may read/],
])('a file %s is refused, with what to do', async (_, change, message) => {
  const secret = await source().token(signal)
  change()
  await expect(source().token(signal)).rejects.toThrow(message)
  await expect(source().token(signal)).rejects.toThrow(/chmod 600/)
  await expect(source().token(signal)).rejects.not.toThrow(String(secret))
})

it('a file behind a symbolic link, and a folder in its place, are refused', async () => {
  await source().token(signal)
  const link = join(folder, 'link')
  symlinkSync(cacheFile, link)
  await expect(source({ cacheFile: link }).token(signal)).rejects.toThrow(/symbolic link/)
  const directory = join(folder, 'directory')
  mkdirSync(directory, { mode: 0o700 })
  await expect(source({ cacheFile: directory }).token(signal)).rejects.toThrow(/it is not a file/)
})

it.each(['', '{', '{"identity":1}', 'null', 'a'.repeat(300_000)])(
  'a damaged file is replaced by a good one',
  async (text) => {
    writeFileSync(cacheFile, text, { mode: 0o600 })
    expect(await source().token(signal)).toBe(iam.issued.at(-1))
    expect(JSON.parse(readFileSync(cacheFile, 'utf8')).accessToken).toBe(iam.issued.at(-1))
  },
)

it('an error reply leaves the file unchanged', async () => {
  const first = await source().token(signal)
  const kept = readFileSync(cacheFile, 'utf8')
  nowMs += 3_400_000
  iam.misbehave('error-with-200')
  expect(await source().token(signal)).toBe(first)
  expect(readFileSync(cacheFile, 'utf8')).toBe(kept)
})

it('with a folder that cannot be written the token is not shared, but works', async () => {
  const warnings: string[] = []
  const log = { warn: (_fields: object, event: string) => void warnings.push(event) }
  const missing = join(folder, 'missing', 'tokens.json')
  expect(await source({ cacheFile: missing, log: log as TokenSourceOptions['log'] }).token(signal)).toBe(
    iam.issued.at(-1),
  )
  expect(warnings).toEqual(['token-file-not-written'])
})

it('the lock of a dead process is not waited for', async () => {
  writeFileSync(`${cacheFile}.lock`, '')
  const longAgo = Date.now() / 1000 - 120
  utimesSync(`${cacheFile}.lock`, longAgo, longAgo)
  expect(await source().token(signal)).toBe(iam.issued.at(-1))
  expect(existsSync(`${cacheFile}.lock`)).toBe(false)
})

it('a lock with a date in the future, as after setting back a clock, is not waited for', async () => {
  writeFileSync(`${cacheFile}.lock`, '')
  const ahead = Date.now() / 1000 + 3600
  utimesSync(`${cacheFile}.lock`, ahead, ahead)
  // Waiting for it would take an hour.
  expect(await source().token(signal)).toBe(iam.issued.at(-1))
})

it('with a lock that cannot be removed the token is not shared, but works', async () => {
  mkdirSync(`${cacheFile}.lock`)
  const longAgo = Date.now() / 1000 - 120
  utimesSync(`${cacheFile}.lock`, longAgo, longAgo)
  // Waiting for it would never end.
  expect(await source().token(signal)).toBe(iam.issued.at(-1))
})

it('a valid token is used while another process renews it', async () => {
  const tokens = source()
  const first = await tokens.token(signal)
  nowMs += 3_400_000
  writeFileSync(`${cacheFile}.lock`, '')
  expect(await tokens.token(signal)).toBe(first)
})
