/** Runs `osls package`, without an account, a network or the user's home folder. */
import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { TransientError } from '../../shared/errors.ts'
import { childEnvironment, searchPath } from '../local/environment.ts'

export const PROJECT = fileURLToPath(new URL('../..', import.meta.url))

const TIME_LIMIT_MS = 300_000

/** After a failed build the service of esbuild keeps osls running, so osls is stopped. */
const FAREWELL_MS = 3000
const FAILED = /^(?:Error:|✖)/m

/**
 * Writes the packages of all functions into `.serverless/` of the project.
 * @returns the output of osls. @throws TransientError with the output when it fails.
 */
export async function runOsls(project = PROJECT): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), 'cygnet-osls-'))
  try {
    return await run(join(project, 'node_modules/osls/bin/serverless.js'), project, home)
  } finally {
    await rm(home, { recursive: true, force: true })
  }
}

function run(program: string, project: string, home: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  // Without credentials and settings of the user the package is the same everywhere.
  const environment = childEnvironment({
    HOME: home,
    PATH: `${dirname(process.execPath)}${delimiter}${searchPath()}`,
    // No spinner.
    CI: 'true',
    NO_COLOR: '1',
  })
  const osls = spawn(process.execPath, [program, 'package'], {
    cwd: project,
    env: environment,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  let farewell: NodeJS.Timeout | undefined
  const limit = setTimeout(() => osls.kill('SIGKILL'), TIME_LIMIT_MS)
  for (const stream of [osls.stdout, osls.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
      if (farewell === undefined && FAILED.test(output))
        farewell = setTimeout(() => osls.kill('SIGKILL'), FAREWELL_MS)
    })
  osls.once('error', reject)
  osls.once('close', (code, signal) => {
    clearTimeout(limit)
    clearTimeout(farewell)
    if (code === 0 && !FAILED.test(output)) resolve(output.trim())
    else
      reject(new TransientError(`osls package failed (${signal ?? `exit code ${code}`}):\n${output.trim()}`))
  })
  return promise
}
