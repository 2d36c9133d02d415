/** `npm start` from its start to its end, as people start and end it. */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, expect, test } from 'vitest'
import { childEnvironment } from '../../../infra/local/environment.ts'
import { commandLine } from '../../../infra/local/identity.ts'
import { temporaryFolder } from '../../../infra/local/testing.ts'
import { eventually } from '../../support/stack.ts'
import { LONGEST_STACK_WAIT_MS } from '../../support/waiting.ts'

const PROJECT = fileURLToPath(new URL('../../..', import.meta.url))
const folder = temporaryFolder()

interface Started {
  readonly npm: ChildProcess
  readonly output: () => string
}
const started: Started[] = []
/** Settings of the start before. */
let last: Record<string, string> | undefined

afterEach(() => {
  for (const { npm } of started.splice(0))
    if (npm.exitCode === null && npm.signalCode === null) npm.kill('SIGTERM')
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** `npm start` in a process group of its own, as a terminal runs it. */
function npmStart(environment: Record<string, string> = {}): Started {
  const npm = spawn('npm', ['start'], {
    cwd: PROJECT,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...childEnvironment(), CYGNET_FOLDER: folder, ...environment },
  })
  let text = ''
  for (const stream of [npm.stdout, npm.stderr])
    stream?.on('data', (data) => {
      text += data
    })
  const one = { npm, output: () => text }
  started.push(one)
  return one
}

async function isUp({ npm, output }: Started): Promise<void> {
  await eventually(
    async () => `the stack is up: ${output()}`,
    async () => {
      if (npm.exitCode !== null) throw new Error(`npm start ended: ${output()}`)
      return output().includes('Cygnet is up.')
    },
    LONGEST_STACK_WAIT_MS,
  )
}

/** The processes of the folder: it is in their arguments or their environment. */
function processes(): readonly number[] {
  const names = (pid: string) =>
    ['cmdline', 'environ'].some((file) => read(`/proc/${pid}/${file}`).includes(folder))
  return readdirSync('/proc')
    .filter((pid) => /^\d+$/.test(pid) && names(pid))
    .map(Number)
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return '' // it has just ended
  }
}

async function allEnded(): Promise<void> {
  await eventually(
    async () => `all processes have ended: ${processes().map((pid) => commandLine(pid).join(' '))}`,
    async () => processes().length === 0,
    LONGEST_STACK_WAIT_MS,
  )
}

const up = () => {
  const found = processes().find(
    (pid) => commandLine(pid).at(-1) === 'up' && commandLine(pid)[0]?.endsWith('node'),
  )
  if (found === undefined) throw new Error('cygnet up is not running')
  return found
}
const stackFile = () => join(folder, 'stack.json')
const settings = () => JSON.parse(readFileSync(stackFile(), 'utf8')).environment
const group = ({ npm }: Started) => -(npm.pid as number)

test.each<[string, (stack: Started) => void]>([
  ['SIGTERM for npm', ({ npm }) => npm.kill('SIGTERM')],
  ['kill -9 of cygnet up', () => process.kill(up(), 'SIGKILL')],
  ['kill -9 of npm', ({ npm }) => npm.kill('SIGKILL')],
  ['Ctrl-C in the terminal', (stack) => process.kill(group(stack), 'SIGINT')],
])(
  'every start has the ports and the token of the one before, and after %s all processes end',
  { tags: ['long'] },
  async (_, kill) => {
    const stack = npmStart()
    await isUp(stack)
    last ??= settings()
    expect(settings()).toEqual(last)
    expect(stack.output()).not.toContain('is used by another program')
    kill(stack)
    await allEnded()
  },
)

test('settings of the environment count, and a second start leaves the first alone', async () => {
  const first = npmStart({ CYGNET_ANONYMOUS_SCOPES: 'read:*' })
  await isUp(first)
  expect(first.output()).toContain('from the environment: CYGNET_ANONYMOUS_SCOPES')
  const { CYGNET_API_URL: url } = settings()
  expect((await fetch(`${url}/api/v1/runs`)).status).toBe(200)

  const second = npmStart()
  expect(await new Promise((resolve) => second.npm.once('exit', resolve))).toBe(1)
  expect(second.output()).toContain(`cygnet is already running in this folder (process ${up()})`)
  expect((await fetch(`${url}/api/v1/runs`)).status).toBe(200)
  expect(settings().CYGNET_API_URL).toBe(url)

  first.npm.kill('SIGTERM')
  await allEnded()
  expect(existsSync(stackFile())).toBe(false)
})
