/**
 * The whole API, asked by schemathesis (PyPI) with what its own document allows and with what it does not: no
 * answer is an error of the service, and every answer is as documented.
 */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createApi } from '../../functions/catalog-api/app.ts'
import { temporaryFolder } from '../../infra/local/testing.ts'
import { createToken } from '../../shared/access/tokens.ts'
import { serve } from '../support/cli/in-process.ts'
import { ensurePythonPackage } from '../support/python-package.ts'
import { addCopiesInAllStates, fillSite } from '../support/site.ts'
import { startTestTapeContext, type TestTapeContext } from '../support/tape-context.ts'

const VERSION = '4.32.5'
/** For each caller; two minutes for all. */
const SECONDS = 40
const CHECKS = [
  'not_a_server_error',
  'status_code_conformance',
  'content_type_conformance',
  'response_headers_conformance',
  'response_schema_conformance',
  'unsupported_method',
]

let context: TestTapeContext
let site: { readonly url: string; close(): Promise<void> }
let program: string
beforeAll(async () => {
  program = join(await ensurePythonPackage('schemathesis', VERSION), 'st')
  context = await startTestTapeContext({
    environment: { CYGNET_REQUESTS_PER_MINUTE: '0', CYGNET_ANONYMOUS_SCOPES: 'read:LNGS' },
  })
  await fillSite(context)
  await addCopiesInAllStates(context)
  site = await serve(createApi(context).app)
})
afterAll(async () => {
  await site?.close()
  await context?.close()
})

// One worker: Python's parser of this version fails now and then when two threads use it.
test.each([
  ['operator', ['read:*', 'link:*', 'recall:*', 'operate:*']],
  ['reader', ['read:LNGS', 'link:LNGS']],
  ['nobody', null],
] as const)(
  'with the token of %s all answers are documented, and none is an error of the service',
  { retry: 0 },
  async (name, scopes) => {
    const token =
      scopes === null
        ? null
        : (await createToken(context.database, { name, scopes, days: 1 }, context.now())).secret
    const address = `${site.url}/api/v1/openapi.json`
    const args = [
      ...['run', address, '--checks', CHECKS.join(','), '--max-time', String(SECONDS)],
      ...['--continue-on-failure', '--no-shrink', '--warnings', 'off'],
      ...(token === null ? [] : ['--header', `Authorization: Bearer ${token}`]),
    ]
    const cwd = temporaryFolder()
    const { stdout } = await promisify(execFile)(program, args, { cwd, maxBuffer: 64 * 1024 ** 2 }).catch(
      (error: { readonly stdout: string; readonly stderr: string }) => error,
    )
    expect(stdout).toMatch(/No issues found/)
    expect(Number(/Tested: (\d+)/.exec(stdout)?.[1])).toBeGreaterThan(0)
  },
)
