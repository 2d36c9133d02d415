/**
 * `cygnet login` with the embedded IAM and a served API: the code, the stored sign-in, its renewal, and its end.
 */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Iam, startIam } from '../../../../infra/local/services/iam/iam.ts'
import { startTestDatabase, type TestDatabase, temporaryFolder } from '../../../../infra/local/testing.ts'
import { loadConfig } from '../../../../shared/config/config.ts'
import { openDatabase } from '../../../../shared/database/connect.ts'
import { migrate } from '../../../../shared/database/migrate.ts'
import { createLogger } from '../../../../shared/log.ts'
import { type HttpHost, serveHttp } from '../../../../shared/runtime/http.ts'
import { createFormBrowser } from '../../../support/form-browser.ts'
import { createAccessApi } from '../../../support/functions/catalog-api/access-fixture.ts'

const execute = promisify(execFile)
const ROOT = fileURLToPath(new URL('../../../..', import.meta.url))
const script = (body: string) => [
  '--disable-warning=ExperimentalWarning',
  '--input-type=module',
  '-e',
  body,
  '--',
]
const COMMAND = `
import { Command } from 'commander'
import { register } from ${JSON.stringify(join(ROOT, 'cli/commands/login.ts'))}
import { register as registerToken } from ${JSON.stringify(join(ROOT, 'cli/commands/token.ts'))}
const program = new Command()
register(program)
registerToken(program)
try { await program.parseAsync(process.argv.slice(1), { from: 'user' }) } catch (error) { console.error(error.message); process.exitCode = 1 }`
/** A program that sends requests like the other commands. */
const REQUEST_PROGRAM = `
import { apiClient } from ${JSON.stringify(join(ROOT, 'cli/api/client.ts'))}
const client = apiClient()
try {
  const answers = await Promise.all([client.fetch('/api/v1/me'), client.fetch('/api/v1/me')])
  console.log(await answers[0].text())
} catch (error) { console.error(error.message); process.exitCode = 1 }`

const SHOWN_CODE = /Open (\S+) and enter the code (\S+)\s/

describe('cygnet login', () => {
  const dataFolder = temporaryFolder()
  const config = join(dataFolder, 'config')
  const file = join(config, 'cygnet', 'login.json')
  const ending = new AbortController()
  let server: TestDatabase
  let database: ReturnType<typeof openDatabase>
  let iam: Iam
  let host: HttpHost
  let url: string

  beforeAll(async () => {
    server = await startTestDatabase()
    database = openDatabase(server.url, 1)
    await migrate(database)
    // Shorter than the time before its expiry at which a token is renewed: each command renews it.
    iam = await startIam({ dataFolder, publicUrl: 'http://127.0.0.1:9/', accessTokenSeconds: 50 })
    const log = createLogger({ function: 'test', level: 'silent' })
    const settings = loadConfig({ CYGNET_DATABASE_URL: server.url, ...iam.environment })
    const { app } = createAccessApi({ config: settings, database, log, now: () => new Date() })
    host = await serveHttp({ app, log, signal: ending.signal, hostname: '127.0.0.1', idleSeconds: 0 })
    url = `http://127.0.0.1:${host.port}/`
  })
  afterAll(async () => {
    ending.abort()
    await host?.closed
    await iam?.stop()
    await database?.destroy()
    await server?.drop()
    rmSync(dataFolder, { recursive: true, force: true })
  })

  const environment = (more: Readonly<Record<string, string>> = {}) => ({
    PATH: '/usr/bin:/bin',
    CYGNET_FOLDER: '/nonexistent',
    XDG_CONFIG_HOME: config,
    ...more,
  })
  const cygnet = (args: readonly string[], more = {}) =>
    execute(process.execPath, [...script(COMMAND), ...args], { cwd: ROOT, env: environment(more) })
  const ask = (more = {}) =>
    execute(process.execPath, script(REQUEST_PROGRAM), { cwd: ROOT, env: environment(more) })
  const login = async (name: string, answer: Readonly<Record<string, string>> = {}) => {
    const child = spawn(process.execPath, [...script(COMMAND), 'login', '--api', url], {
      cwd: ROOT,
      env: environment(),
    })
    const output = { out: '', error: '' }
    child.stdout.on('data', (bytes: Buffer) => (output.out += bytes))
    const ended = once(child, 'exit')
    await new Promise<void>((resolve) => {
      child.stderr.on('data', (bytes: Buffer) => {
        output.error += bytes
        if (SHOWN_CODE.test(output.error)) resolve()
      })
      child.once('exit', () => resolve())
    })
    const [, page = '', code = ''] = SHOWN_CODE.exec(output.error) ?? []
    const browser = createFormBrowser()
    const confirm = await browser.submit(await browser.open(page), { user_code: code })
    const next = await browser.submit(confirm, answer)
    const user = iam.users.find((known) => known.name === name)
    if (answer.abort === undefined) await browser.submit(next, { name, password: user?.password ?? '' })
    const [exitCode] = await ended
    return { exitCode, ...output }
  }
  const kept = () =>
    JSON.parse(readFileSync(file, 'utf8')).logins[url] as { accessToken: string; refreshToken: string }

  it('commands state what to do without a sign-in', async () => {
    await expect(ask()).rejects.toMatchObject({ stderr: expect.stringContaining('cygnet login --api https') })
    expect(JSON.parse((await ask({ CYGNET_API_URL: url })).stdout)).toMatchObject({ kind: 'anonymous' })
    await expect(cygnet(['login', '--api', 'http://catalogue.example'])).rejects.toMatchObject({
      stderr: expect.stringContaining('is not https'),
    })
    expect((await cygnet(['logout', '--api', url])).stdout).toContain('not signed in')
  })

  it('a person who did not request the sign-in stops it', async () => {
    expect(await login('reader', { abort: 'yes' })).toMatchObject({
      exitCode: 1,
      error: expect.stringContaining('was stopped on the page'),
    })
    expect(statSync(file, { throwIfNoEntry: false })).toBeUndefined()
  })

  it('cygnet login signs a person in with a code, and stores the sign-in in a private file', async () => {
    const { exitCode, out, error } = await login('shifter')
    expect({ exitCode, out }).toEqual({
      exitCode: 0,
      out: `signed in to ${new URL(url).host} as shifter: read:* link:* recall:*\n`,
    })
    for (const secret of [kept().accessToken, kept().refreshToken]) expect(out + error).not.toContain(secret)
    expect(statSync(file).mode & 0o777).toBe(0o600)
    expect(statSync(join(config, 'cygnet')).mode & 0o777).toBe(0o700)
  })

  it('the sign-in is renewed automatically, once for several commands at the same time', async () => {
    const before = kept()
    // The IAM ends the sign-in when a refresh token is used twice.
    for (const answer of await Promise.all([ask(), ask(), ask()]))
      expect(JSON.parse(answer.stdout)).toMatchObject({ name: 'shifter' })
    expect(kept().refreshToken).not.toBe(before.refreshToken)
    expect(JSON.parse((await ask()).stdout)).toMatchObject({ name: 'shifter' })
  })

  it('makes personal tokens for curl and Python, lists and revokes them', async () => {
    const personal = (...args: readonly string[]) =>
      // An API token cannot make others: the sign-in is used.
      cygnet(['token', ...args, '--personal', '--api', url], { CYGNET_API_TOKEN: 'cyg_of-a-machine' })
    const create = (...scopes: readonly string[]) =>
      personal('create', '--name', 'notebook', '--scope', ...scopes)
    const { stdout, stderr } = await create('read:LNGS', 'recall:*')
    const secret = stdout.trim()
    expect(secret).toMatch(/^cyg_[A-Za-z0-9_-]{43}$/)
    expect(stderr).toContain(`open once: ${url}sign-in?lasting=yes`)
    expect(JSON.parse((await ask({ CYGNET_API_URL: url, CYGNET_API_TOKEN: secret })).stdout)).toEqual({
      kind: 'token',
      name: 'shifter',
      scopes: ['read:LNGS', 'recall:*'],
    })
    const listed = JSON.parse((await personal('ls', '--json')).stdout)
    expect(listed).toMatchObject({ name: 'notebook', state: 'valid', scopes: ['read:LNGS', 'recall:*'] })
    expect((await personal('ls')).stdout).toContain('notebook')
    await expect(create('operate:*')).rejects.toMatchObject({
      stderr: expect.stringContaining('you do not have the right operate:* yourself'),
    })
    await expect(personal('revoke', 'notebook')).rejects.toMatchObject({
      stderr: expect.stringContaining('name the id'),
    })
    expect((await personal('revoke', String(listed.id))).stdout).toContain('revoked')
    await expect(ask({ CYGNET_API_URL: url, CYGNET_API_TOKEN: secret })).rejects.toMatchObject({
      stderr: expect.stringContaining('was revoked'),
    })
  })

  it('the token of a sign-in is sent only to the address of that sign-in', async () => {
    const seen: (string | undefined)[] = []
    const other: Server = createServer((request, response) => {
      seen.push(request.headers.authorization)
      response.writeHead(302, { location: `${url}api/v1/me` }).end()
    }).listen(0, '127.0.0.1')
    other.keepAliveTimeout = 0
    await once(other, 'listening')
    const address = `http://127.0.0.1:${(other.address() as AddressInfo).port}`
    await expect(ask({ CYGNET_API_URL: address })).rejects.toMatchObject({
      stderr: expect.stringContaining('cannot be reached'),
    })
    expect(new Set(seen)).toEqual(new Set([undefined]))
    other.close()
    other.closeAllConnections()
  })

  it('an API token is used instead of the sign-in, and is not shown when it is refused', async () => {
    const refused = ask({ CYGNET_API_TOKEN: 'cyg_not-a-good-one' })
    await expect(refused).rejects.toMatchObject({
      stderr: expect.stringMatching(/does not accept CYGNET_API_TOKEN/),
    })
    await expect(refused).rejects.toMatchObject({ stderr: expect.not.stringContaining('not-a-good-one') })
  })

  it('a sign-in in a file that others can read is not used', async () => {
    chmodSync(file, 0o644)
    await expect(ask()).rejects.toMatchObject({ stderr: expect.stringContaining('can be read by others') })
    chmodSync(file, 0o600)
  })

  it('cygnet logout ends the sign-in here and at the IAM', async () => {
    const { refreshToken } = kept()
    expect((await cygnet(['logout'])).stdout).toContain('signed out')
    await expect(cygnet(['token', 'ls', '--personal', '--api', url])).rejects.toMatchObject({
      stderr: expect.stringContaining('sign in first: cygnet login'),
    })
    expect(readFileSync(file, 'utf8')).not.toContain(refreshToken)
    // A copy of the file exists elsewhere.
    writeFileSync(
      file,
      JSON.stringify({
        last: url,
        logins: {
          [url]: {
            issuer: iam.issuer,
            clientId: 'cygnet-cli',
            audience: 'cygnet',
            accessToken: 'x',
            expiresAtMs: 0,
            refreshToken,
          },
        },
      }),
    )
    await expect(ask()).rejects.toMatchObject({ stderr: expect.stringContaining('sign in again') })
  })
})
