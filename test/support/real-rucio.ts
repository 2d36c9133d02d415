/**
 * A real Rucio server on 127.0.0.1: the package of PyPI in a private virtual environment, on SQLite, without
 * daemons. So nothing is transferred, and a rule is OK once its replica is registered by hand.
 */
import { execFile } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { freePort, LOOPBACK } from '../../infra/local/ports.ts'
import { startProcess } from '../../infra/local/process.ts'
import { temporaryFolder } from '../../infra/local/testing.ts'
import { ensurePythonPackage } from './python-package.ts'

const VERSION = '41.5.1'
const LONGEST_BOOTSTRAP_MS = 15 * 60 * 1000

export interface RealRucio {
  readonly url: string
  readonly token: string
  /** Sends a request as the administrator. @returns the status, and the class of the error ('' if none). */
  ask(
    method: string,
    path: string,
    body?: object | string,
    headers?: Record<string, string>,
  ): Promise<{ status: number; kind: string; text: string }>
  close(): Promise<void>
}

const BOOTSTRAP = `
from rucio.db.sqla import models
from rucio.db.sqla.session import get_engine
from rucio.db.sqla.util import create_base_vo, create_root_account
models.register_models(get_engine())
create_base_vo()
create_root_account()
`
const SERVE = `
import sys
from werkzeug.serving import run_simple
from rucio.web.rest.flaskapi.v1.main import application
run_simple('${LOOPBACK}', int(sys.argv[1]), application)
`
const configuration = (folder: string) => `
[common]
logdir = ${folder}
loglevel = WARNING
mailtemplatedir = ${folder}
[database]
default = sqlite:///${folder}/rucio.db
[bootstrap]
userpass_identity = tester
userpass_pwd = tester
userpass_email = tester@example.org
[policy]
permission = generic
schema = generic
`

export async function startRealRucio(): Promise<RealRucio> {
  const program = join(await ensurePythonPackage('rucio', VERSION), 'python')
  const dataFolder = temporaryFolder()
  const folder = join(dataFolder, 'home')
  mkdirSync(join(folder, 'etc'), { recursive: true })
  writeFileSync(join(folder, 'etc', 'rucio.cfg'), configuration(folder))
  writeFileSync(join(folder, 'bootstrap.py'), BOOTSTRAP)
  writeFileSync(join(folder, 'serve.py'), SERVE)
  await promisify(execFile)(program, [join(folder, 'bootstrap.py')], {
    env: { RUCIO_HOME: folder },
    timeout: LONGEST_BOOTSTRAP_MS,
  })
  const port = await freePort()
  const url = `http://${LOOPBACK}:${port}`
  const service = await startProcess({
    name: 'rucio',
    dataFolder,
    program,
    args: [join(folder, 'serve.py'), String(port)],
    environment: { RUCIO_HOME: folder, HOME: folder },
    probe: async (signal) => (await fetch(`${url}/ping`, { signal })).ok,
  })
  const credentials = {
    'x-rucio-username': 'tester',
    'x-rucio-password': 'tester',
    'x-rucio-account': 'root',
  }
  const token =
    (await fetch(`${url}/auth/userpass`, { headers: credentials })).headers.get('x-rucio-auth-token') ?? ''
  return {
    url,
    token,
    ask: (method, path, body, headers = {}) =>
      requestRucio(url, method, path, body, {
        'x-rucio-auth-token': token,
        'x-rucio-account': 'root',
        ...headers,
      }),
    async close() {
      await service.stop()
      rmSync(dataFolder, { recursive: true, force: true })
    },
  }
}

export async function requestRucio(
  url: string,
  method: string,
  path: string,
  body: object | string | undefined,
  headers: Record<string, string>,
): Promise<{ status: number; kind: string; text: string }> {
  const text = body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }
  const answer = await fetch(url + path, {
    method,
    headers: { 'content-type': 'application/json', ...headers },
    ...text,
  })
  const reply = await answer.text()
  return { status: answer.status, kind: /"ExceptionClass": ?"(\w+)"/.exec(reply)?.[1] ?? '', text: reply }
}
