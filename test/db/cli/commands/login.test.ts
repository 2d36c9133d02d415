/**
 * `cygnet login` against the embedded IAM and a served API: the code, the kept sign-in, its renewal, and its
 * end.
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
const program = new Command()
register(program)
try { await program.parseAsync(process.argv.slice(1), { from: 'user' }) } catch (error) { console.error(error.message); process.exitCode = 1 }`
/** What other commands do. */
const ASK = `
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
    // Shorter than the minute before its end in which a token is renewed: each command renews it.
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
  const ask = (more = {}) => execute(process.execPath, script(ASK), { cwd: ROOT, env: environment(more) })
  const login = async (name: string, answer: Readonly<Record<string, string>> = {}) => {
    const child = spawn(process.execPath, [...script(COMMAND), 'login', '--api', url], {
      cwd: ROOT,
      env: environment(),
    })
    const said = { out: '', error: '' }
    child.stdout.on('data', (bytes: Buffer) => (said.out += bytes))
    const ended = once(child, 'exit')
    await new Promise<void>((resolve) => {
      child.stderr.on('data', (bytes: Buffer) => {
        said.error += bytes
        if (SHOWN_CODE.test(said.error)) resolve()
      })
      child.once('exit', () => resolve())
    })
    const [, page = '', code = ''] = SHOWN_CODE.exec(said.error) ?? []
    const browser = createFormBrowser()
    const confirm = await browser.submit(await browser.open(page), { user_code: code })
    const next = await browser.submit(confirm, answer)
    const user = iam.users.find((known) => known.name === name)
    if (answer.abort === undefined) await browser.submit(next, { name, password: user?.password ?? '' })
    const [exitCode] = await ended
    return { exitCode, ...said }
  }
  const kept = () =>
    JSON.parse(readFileSync(file, 'utf8')).logins[url] as { accessToken: string; refreshToken: string }

  it('without it, commands say what to do', async () => {
    await expect(ask()).rejects.toMatchObject({ stderr: expect.stringContaining('cygnet login --api https') })
    expect(JSON.parse((await ask({ CYGNET_API_URL: url })).stdout)).toMatchObject({ kind: 'anonymous' })
    await expect(cygnet(['login', '--api', 'http://catalogue.example'])).rejects.toMatchObject({
      stderr: expect.stringContaining('is not https'),
    })
    expect((await cygnet(['logout', '--api', url])).stdout).toContain('not signed in')
  })

  it('is stopped by a person who did not ask for it', async () => {
    expect(await login('reader', { abort: 'yes' })).toMatchObject({
      exitCode: 1,
      error: expect.stringContaining('was stopped on the page'),
    })
    expect(statSync(file, { throwIfNoEntry: false })).toBeUndefined()
  })

  it('signs a person in by a code, and keeps that in a file of its own alone', async () => {
    const { exitCode, out, error } = await login('shifter')
    expect({ exitCode, out }).toEqual({
      exitCode: 0,
      out: `signed in to ${new URL(url).host} as shifter: read:* link:* recall:*\n`,
    })
    for (const secret of [kept().accessToken, kept().refreshToken]) expect(out + error).not.toContain(secret)
    expect(statSync(file).mode & 0o777).toBe(0o600)
    expect(statSync(join(config, 'cygnet')).mode & 0o777).toBe(0o700)
  })

  it('is renewed by itself, once also by several commands at the same time', async () => {
    const before = kept()
    // The IAM ends the sign-in when a refresh token is used twice.
    for (const answer of await Promise.all([ask(), ask(), ask()]))
      expect(JSON.parse(answer.stdout)).toMatchObject({ name: 'shifter' })
    expect(kept().refreshToken).not.toBe(before.refreshToken)
    expect(JSON.parse((await ask()).stdout)).toMatchObject({ name: 'shifter' })
  })

  it('is for the address it was made for: to another nothing of it is sent', async () => {
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

  it('gives way to an API token, which is not shown when it is refused', async () => {
    const refused = ask({ CYGNET_API_TOKEN: 'cyg_not-a-good-one' })
    await expect(refused).rejects.toMatchObject({
      stderr: expect.stringMatching(/does not accept CYGNET_API_TOKEN/),
    })
    await expect(refused).rejects.toMatchObject({ stderr: expect.not.stringContaining('not-a-good-one') })
  })

  it('is not used from a file that others can read', async () => {
    chmodSync(file, 0o644)
    await expect(ask()).rejects.toMatchObject({ stderr: expect.stringContaining('can be read by others') })
    chmodSync(file, 0o600)
  })

  it('ends here and at the IAM', async () => {
    const { refreshToken } = kept()
    expect((await cygnet(['logout'])).stdout).toContain('signed out')
    expect(readFileSync(file, 'utf8')).not.toContain(refreshToken)
    // Somebody has a copy of the file.
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
