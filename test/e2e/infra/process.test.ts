import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { identify, isRunning } from '../../../infra/local/identity.ts'
import { LOOPBACK } from '../../../infra/local/ports.ts'
import { type Service, type StartOptions, startProcess } from '../../../infra/local/process.ts'
import { findProgram } from '../../../infra/local/programs.ts'
import { temporaryFolder } from '../../../infra/local/testing.ts'
import { until } from '../../support/waiting.ts'

const FOREVER = "console.log('running'); setInterval(() => undefined, 1000)"
/** Ignores SIGTERM from the moment at which it states this in its log. */
const DEAF = `process.on('SIGTERM', () => undefined); console.log('deaf'); ${FOREVER}`

let dataFolder: string
const services: Service[] = []
const others: ChildProcess[] = []

beforeEach(() => {
  dataFolder = temporaryFolder()
})
afterEach(async () => {
  vi.restoreAllMocks()
  for (const other of others.splice(0)) other.kill('SIGKILL')
  for (const service of services.splice(0)) await service.stop()
  rmSync(dataFolder, { recursive: true, force: true })
})

async function start(script: string, options: Partial<StartOptions> = {}): Promise<Service> {
  const service = await startProcess({
    name: 'dummy',
    dataFolder,
    program: process.execPath,
    args: ['-e', script],
    probe: async () => true,
    ...options,
  })
  services.push(service)
  return service
}

/** A process that this test, not the supervisor, has started. */
function startOther(script = FOREVER): ChildProcess & { readonly pid: number } {
  const other = spawn(process.execPath, ['-e', script], { stdio: 'ignore' })
  others.push(other)
  return other as ChildProcess & { readonly pid: number }
}

async function startedElsewhere(
  script: string,
  deathSignal: 'TERM' | 'KILL' = 'TERM',
): Promise<{ readonly starter: ChildProcess; readonly pid: number }> {
  const starter = spawn(
    process.execPath,
    [
      fileURLToPath(new URL('../../support/infra/starter.ts', import.meta.url)),
      dataFolder,
      script,
      deathSignal,
    ],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  )
  others.push(starter)
  const pid = await new Promise<number>((resolve) =>
    starter.stdout.once('data', (data) => resolve(Number(data))),
  )
  return { starter, pid }
}

const hasPrinted = (text: string) =>
  readFileSync(join(dataFolder, 'logs', 'dummy.log'), 'utf8').includes(text)
const isDeaf = () => hasPrinted('deaf')

test('a service answers when its start returns, and has ended, without a pid file, when its stop returns', async () => {
  // The service reports its port: a port chosen earlier may be taken by another process.
  const words = `yes from ${dataFolder}`
  const url = () => readFileSync(join(dataFolder, 'dummy', 'url'), 'utf8')
  const answer = async () => await (await fetch(url())).text()
  const script = `const server = require('http').createServer((_, r) => r.end('${words}')).listen(0, '${LOOPBACK}', () =>
    require('fs').writeFileSync('url', 'http://${LOOPBACK}:' + server.address().port))`
  const service = await start(script, { probe: answer })
  expect(await answer()).toBe(words)
  const identity = identify(service.pid)
  expect(isRunning(identity)).toBe(true)
  await service.stop()
  expect(isRunning(identity)).toBe(false)
  expect(await answer().catch(() => 'nobody answers')).not.toBe(words)
  expect(existsSync(join(dataFolder, 'dummy', 'pid'))).toBe(false)
  await service.stop() // a second call is harmless
})

test('the error about a service that dies immediately has the end of its output', async () => {
  const dying = start("console.error('the disk is on fire'); process.exit(3)", {
    probe: () => Promise.reject(new Error('no')),
  })
  await expect(dying).rejects.toThrow(/exit code 3[\s\S]*the disk is on fire/)
})

test('a missing program is an error, not a crash', async () => {
  await expect(start('', { program: '/nonexistent/program' })).rejects.toThrow(
    'cannot run /nonexistent/program',
  )
})

test('a service that does not answer in time is stopped', async () => {
  const time = new AbortController()
  vi.spyOn(AbortSignal, 'timeout').mockImplementation((ms) =>
    ms === 7000 ? time.signal : new AbortController().signal,
  )
  const slow = start(`console.log('still thinking'); ${FOREVER}`, {
    timeoutSeconds: 7,
    // The start times out after this line, not earlier.
    async probe() {
      if (hasPrinted('still thinking')) time.abort(new DOMException('', 'TimeoutError'))
      return false
    },
  })
  await expect(slow).rejects.toThrow(/does not answer after 7 s[\s\S]*still thinking/)
  expect(existsSync(join(dataFolder, 'dummy', 'pid'))).toBe(false)
})

test('a start that is aborted leaves nothing behind', async () => {
  const controller = new AbortController()
  const starting = start(FOREVER, { probe: async () => false, signal: controller.signal })
  const pidFile = join(dataFolder, 'dummy', 'pid')
  await until(() => existsSync(pidFile))
  const { service } = JSON.parse(readFileSync(pidFile, 'utf8'))
  controller.abort(new Error('never mind'))
  await expect(starting).rejects.toThrow('never mind')
  expect(isRunning(service)).toBe(false)
})

test('a service that ignores SIGTERM is killed after the grace period', async () => {
  const service = await start(DEAF, { graceSeconds: 0.5 })
  await until(isDeaf)
  await service.stop()
  expect(await service.ended).toBe('signal SIGKILL')
})

test('a stale pid file does not hinder the next start', async () => {
  const service = await start(FOREVER)
  const pidFile = readFileSync(join(dataFolder, 'dummy', 'pid'))
  await service.stop()
  writeFileSync(join(dataFolder, 'dummy', 'pid'), pidFile)
  const again = await start(FOREVER)
  expect(again.pid).not.toBe(service.pid)
})

test.each(['', '{', 'null', '{"service":{"pid":-1}}', '12345'])(
  'a pid file with %j in it proves nothing and stops nothing',
  async (content) => {
    mkdirSync(join(dataFolder, 'dummy'), { recursive: true })
    writeFileSync(join(dataFolder, 'dummy', 'pid'), content)
    await expect(start(FOREVER)).resolves.toBeDefined()
  },
)

test('a process with the pid of our dead service is not stopped', async () => {
  const stranger = startOther()
  const dead = { pid: 999_999_999, startTicks: '1', bootId: 'none' }
  mkdirSync(join(dataFolder, 'dummy'), { recursive: true })
  const command = [process.execPath, '-e', FOREVER]
  const sameNumber = { service: { ...identify(stranger.pid), startTicks: '1' }, starter: dead, command }
  writeFileSync(join(dataFolder, 'dummy', 'pid'), JSON.stringify(sameNumber))
  await (await start(FOREVER)).stop()
  const otherCommand = {
    service: identify(stranger.pid),
    starter: dead,
    command: ['/usr/sbin/mariadbd', '--defaults-file=x'],
  }
  writeFileSync(join(dataFolder, 'dummy', 'pid'), JSON.stringify(otherCommand))
  await (await start(FOREVER)).stop()
  expect(isRunning(identify(stranger.pid))).toBe(true)
})

test('a service in use by another process is refused, not stopped', async () => {
  const { pid } = await startedElsewhere(FOREVER)
  await expect(start(FOREVER)).rejects.toThrow(/already running here for process \d+/)
  expect(isRunning(identify(pid))).toBe(true)
})

test('an orphan of a killed starter is stopped by the next start', async () => {
  const { starter, pid } = await startedElsewhere(DEAF) // ignores signals, so that it outlives its starter
  await until(isDeaf)
  const orphan = identify(pid)
  starter.kill('SIGKILL')
  await new Promise((resolve) => starter.once('exit', resolve))
  await sleep(100)
  expect(isRunning(orphan)).toBe(true)
  await start(FOREVER, { graceSeconds: 0.5 })
  expect(isRunning(orphan)).toBe(false)
})

test.skipIf((await findProgram('setpriv')) === null)(
  'a service ends by itself when its starter is killed',
  async () => {
    const { starter, pid } = await startedElsewhere(FOREVER)
    // Before it runs, the kernel may not know yet which process it has to end with.
    await until(() => hasPrinted('running'))
    const service = identify(pid)
    starter.kill('SIGKILL')
    await until(() => !isRunning(service))
  },
)

test.skipIf((await findProgram('setpriv')) === null)(
  'a service that would wait for others when it stops ends at once when its starter is killed',
  async () => {
    const { starter, pid } = await startedElsewhere(DEAF, 'KILL')
    await until(isDeaf)
    const service = identify(pid)
    starter.kill('SIGKILL')
    await until(() => !isRunning(service))
  },
)
