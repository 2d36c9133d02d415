import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { InvalidInputError, TransientError } from '../../../shared/errors.ts'
import { createTokenSource, type TokenSourceOptions } from '../../../shared/tape/tokens/tokens.ts'
import { type BadAnswer, IAM_CLIENT, type IamServer, startIamServer } from '../../support/iam-server.ts'
import { holdTimeLimits } from '../../support/time-limits.ts'
import { LONGEST_WAIT_SECONDS } from '../../support/waiting.ts'

const { signal } = new AbortController()
let iam: IamServer
let nowMs = 1_700_000_000_000
const now = () => nowMs
const pass = (seconds: number) => {
  nowMs += seconds * 1000
}
const source = (more: Partial<TokenSourceOptions> = {}) =>
  createTokenSource({
    tokenUrl: iam.url,
    ...IAM_CLIENT,
    now,
    random: () => 0,
    timeoutSeconds: LONGEST_WAIT_SECONDS,
    ...more,
  })

beforeAll(async () => {
  iam = await startIamServer()
})
afterAll(() => iam.close())
beforeEach(() => {
  iam.onHang = holdTimeLimits()
  iam.setLifetime(3600)
  iam.setRotation(false)
})
afterEach(() => void vi.restoreAllMocks())

it('a token refused after the clock was set back is renewed all the same', async () => {
  const tokens = source()
  const first = String(await tokens.token(signal))
  tokens.refused(first)
  const second = String(await tokens.token(signal))
  expect(second).not.toBe(first)
  pass(-3000)
  tokens.refused(second)
  expect(await tokens.token(signal)).not.toBe(second)
  pass(3000)
})

describe('getting a token', () => {
  it('a token of the settings is used as it is; without any setting none is sent', async () => {
    expect(await createTokenSource({ fixed: 'abc' }).token(signal)).toBe('abc')
    expect(await createTokenSource({}).token(signal)).toBeNull()
  })

  it('client credentials: scope and audience are asked for under their standard names', async () => {
    const token = await source({ audience: 'https://tape.example.org' }).token(signal)
    expect(token).toBe(iam.issued.at(-1))
    expect(iam.requests.at(-1)).toEqual({
      grant_type: 'client_credentials',
      scope: IAM_CLIENT.scope,
      audience: 'https://tape.example.org',
    })
  })

  it('a refresh token is exchanged for an access token', async () => {
    expect(await source({ refreshToken: iam.refreshToken }).token(signal)).toBe(iam.issued.at(-1))
    expect(iam.requests.at(-1)).toMatchObject({
      grant_type: 'refresh_token',
      refresh_token: iam.refreshToken,
    })
  })

  it('callers at the same time share one request', async () => {
    const before = iam.requests.length
    const tokens = source()
    const got = await Promise.all(Array.from({ length: 20 }, () => tokens.token(signal)))
    expect(new Set(got).size).toBe(1)
    expect(iam.requests.length - before).toBe(1)
  })

  it('a caller that gives up does not take the token from the others', async () => {
    const tokens = source()
    const impatient = new AbortController()
    const given = tokens.token(impatient.signal)
    const waiting = tokens.token(signal)
    impatient.abort(new Error('enough'))
    await expect(given).rejects.toThrow('enough')
    expect(await waiting).toBe(iam.issued.at(-1))
  })
})

describe('renewing', () => {
  it.each([
    ['an hour', 3600, 3299, 3301],
    ['two minutes', 120, 89, 91],
    ['four seconds', 4, 2.9, 3.1],
  ])('a token of %s is renewed before it expires', async (_, lifetime, before, after) => {
    iam.setLifetime(lifetime)
    const tokens = source()
    const first = await tokens.token(signal)
    pass(before)
    expect(await tokens.token(signal)).toBe(first)
    pass(after - before)
    expect(await tokens.token(signal)).not.toBe(first)
  })

  it('processes that started together renew at different times', async () => {
    const early = source({ random: () => 1 })
    const first = await early.token(signal)
    pass(3241)
    expect(await early.token(signal)).not.toBe(first)
  })

  it('a token without a stated lifetime is treated as short-lived', async () => {
    iam.setLifetime(null)
    const tokens = source()
    const first = await tokens.token(signal)
    pass(500)
    expect(await tokens.token(signal)).not.toBe(first)
  })

  it('a rotated refresh token takes the place of the configured one', async () => {
    iam.setRotation(true)
    const tokens = source({ refreshToken: iam.refreshToken })
    await tokens.token(signal)
    pass(3600)
    expect(await tokens.token(signal)).toBe(iam.issued.at(-1))
    expect(iam.requests.at(-1)?.refresh_token).not.toBe(iam.requests.at(-2)?.refresh_token)
  })
})

describe('bad replies', () => {
  const answers: BadAnswer[] = [
    'html',
    'error-with-200',
    'no-token',
    'expired',
    'header-injection',
    '503',
    'not-json',
    'drop',
    'hang',
  ]

  it.each(answers)(
    '%s never replaces a good token: that is used until it expires, and the next good reply is taken',
    async (answer) => {
      const tokens = source()
      const first = await tokens.token(signal)
      pass(3400)
      iam.misbehave(answer)
      expect(await tokens.token(signal)).toBe(first)
      pass(60)
      expect(await tokens.token(signal)).toBe(iam.issued.at(-1))
      expect(iam.issued.at(-1)).not.toBe(first)
    },
  )

  it.each(answers)('%s without a good token is an error that holds no secret', async (answer) => {
    iam.misbehave(answer)
    const error = await source({ refreshToken: iam.refreshToken })
      .token(signal)
      .catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(TransientError)
    const text = `${(error as Error).message} ${JSON.stringify((error as TransientError).details)}`
    for (const secret of [IAM_CLIENT.clientSecret, iam.refreshToken, 'not-a-token', 'Basic'])
      expect(text).not.toContain(secret)
  })

  it('a renewal that fails is not tried again at every use', async () => {
    const tokens = source()
    await tokens.token(signal)
    pass(3400)
    iam.misbehave('503')
    const before = iam.requests.length
    for (let use = 0; use < 5; use += 1) await tokens.token(signal)
    expect(iam.requests.length - before).toBe(1)
  })

  it('an expired token is no longer used', async () => {
    const tokens = source()
    await tokens.token(signal)
    pass(3600)
    iam.misbehave('503')
    await expect(tokens.token(signal)).rejects.toThrow(TransientError)
  })

  it.each([
    ['a wrong secret', { clientSecret: 'wrong-secret' }, /CYGNET_TAPE_CLIENT_SECRET/],
    [
      'a revoked refresh token',
      { refreshToken: 'revoked-token' },
      /refresh token has expired or was revoked/,
    ],
    ['a scope that is not allowed', { scope: 'compute.create' }, /CYGNET_TAPE_SCOPE/],
  ])('%s is reported with what to do', async (_, more, message) => {
    const error = await source(more)
      .token(signal)
      .catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(TransientError)
    expect((error as TransientError).details.operator).toBe(true)
    expect((error as Error).message).toMatch(message)
    expect((error as Error).message).not.toMatch(/wrong-secret|revoked-token/)
  })
})

describe('a token that was refused', () => {
  it('is renewed before the next use, and not again at once', async () => {
    const tokens = source()
    const first = (await tokens.token(signal)) as string
    tokens.refused(first)
    const second = (await tokens.token(signal)) as string
    expect(second).not.toBe(first)
    tokens.refused(second)
    expect(await tokens.token(signal)).toBe(second)
    pass(11)
    tokens.refused(second)
    expect(await tokens.token(signal)).not.toBe(second)
  })

  it('that is not the one in use changes nothing', async () => {
    const tokens = source()
    const first = await tokens.token(signal)
    tokens.refused('an older one')
    expect(await tokens.token(signal)).toBe(first)
  })
})

describe('settings that cannot work', () => {
  it.each<[string, TokenSourceOptions, RegExp]>([
    [
      'a client without its secret',
      { tokenUrl: 'https://iam/token', clientId: 'a' },
      /CYGNET_TAPE_CLIENT_SECRET is missing/,
    ],
    [
      'a secret without a client',
      { tokenUrl: 'https://iam/token', clientSecret: 'hush' },
      /CYGNET_TAPE_CLIENT_ID is missing/,
    ],
    ['a refresh token without an IAM', { refreshToken: 'hush' }, /CYGNET_TAPE_TOKEN_URL is missing/],
    [
      'two ways at once',
      { fixed: 'hush', tokenUrl: 'https://iam/token', clientId: 'a', clientSecret: 'hush' },
      /both set/,
    ],
    [
      'a secret sent in clear text',
      { tokenUrl: 'http://iam.example.org/token', clientId: 'a', clientSecret: 'hush' },
      /must be https/,
    ],
    [
      'an address with a password',
      { tokenUrl: 'https://u:hush@iam/token', clientId: 'a', clientSecret: 'b' },
      /password/,
    ],
    ['no address', { tokenUrl: 'iam', clientId: 'a', clientSecret: 'hush' }, /not an http/],
    ['a token with a line break', { fixed: 'hush\n' }, /characters/],
    [
      'an authorities file that is not there',
      { tokenUrl: 'https://iam/', clientId: 'a', clientSecret: 'b', caFile: '/nowhere.pem' },
      /nowhere/,
    ],
  ])('%s is refused at once', (_, options, message) => {
    expect(() => createTokenSource(options)).toThrow(InvalidInputError)
    expect(() => createTokenSource(options)).toThrow(message)
    expect(() => createTokenSource(options)).not.toThrow(/hush/)
  })
})
