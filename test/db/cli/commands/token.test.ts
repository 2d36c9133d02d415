/** `cygnet token`: the secret is shown once, only on standard output. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { findToken } from '../../../../shared/access/tokens.ts'
import { record, startTestCatalogue, type TestCatalogue } from '../../../support/catalogue.ts'
import { metadataOf, versionOf } from '../../../support/metadata.ts'

const execute = promisify(execFile)
const COMMAND = fileURLToPath(new URL('../../../../cli/commands/token.ts', import.meta.url))
const SCRIPT = `
import { Command } from 'commander'
import { register } from ${JSON.stringify(COMMAND)}
const program = new Command()
register(program)
await program.parseAsync(process.argv.slice(1), { from: 'user' })`

describe('cygnet token', () => {
  let catalogue: TestCatalogue
  beforeAll(async () => {
    catalogue = await startTestCatalogue()
  })
  afterAll(() => catalogue?.close())

  const token = (...args: readonly string[]) =>
    execute(process.execPath, ['--input-type=module', '-e', SCRIPT, '--', 'token', ...args], {
      cwd: fileURLToPath(new URL('../../../..', import.meta.url)),
      env: { PATH: '/usr/bin:/bin', CYGNET_DATABASE_URL: catalogue.url, CYGNET_FOLDER: '/nonexistent' },
    })

  it('cygnet token creates, lists and revokes tokens', async () => {
    const made = await token(
      'create',
      '--name',
      'daq-lngs',
      '--scope',
      'push:LNGS',
      'push:LNF',
      '--days',
      '90',
    )
    const secret = made.stdout.trim()
    expect(made.stdout).toBe(`${secret}\n`)
    expect(made.stderr).toMatch(
      /token \d+ "daq-lngs" for push:LNGS, push:LNF, until .* UTC\. The secret is shown only now:/,
    )
    expect(made.stderr).not.toContain(secret)
    expect(await findToken(catalogue.database, secret)).toMatchObject({
      name: 'daq-lngs',
      scopes: ['push:LNGS', 'push:LNF'],
    })

    const listed = await token('ls')
    expect(listed.stdout).toMatch(/daq-lngs +valid +push:LNGS push:LNF/)
    expect(listed.stdout).not.toContain(secret.slice(4))

    expect((await token('revoke', 'daq-lngs')).stdout).toBe('1 token revoked\n')
    expect((await token('ls')).stdout).toMatch(/daq-lngs +revoked/)
    expect((await token('revoke', 'daq-lngs')).stdout).toMatch(/already revoked/)
  })

  it('a token for a tag without runs is made, with a note of those that resemble it', async () => {
    expect((await token('create', '--name', 'first', '--scope', 'push:LNGS')).stderr).not.toContain('note')
    await record(catalogue.database, versionOf('LNGS/run00001.mid.gz', 'one'), metadataOf(1))
    const { stdout, stderr } = await token('create', '--name', 'second', '--scope', 'push:lngs', 'read:*')
    expect(stdout).toMatch(/^cyg_/)
    expect(stderr).toContain('note: the catalogue has no run of the tag lngs yet, but of LNGS\n')
  })

  it('token create and token ls print JSON for programs', async () => {
    const made = JSON.parse(
      (await token('create', '--name', 'json', '--scope', 'overwrite:LNGS', '--json')).stdout,
    )
    expect(made).toMatchObject({
      name: 'json',
      token: expect.stringMatching(/^cyg_/),
      expiresAt: expect.stringMatching(/Z$/),
    })
    const rows = (await token('ls', '--json')).stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(rows.find((row) => row.id === made.id)).toMatchObject({
      state: 'valid',
      scopes: ['overwrite:LNGS'],
    })
  })

  it.each([
    [['create', '--name', 'x', '--scope', 'everything'], /"everything" is not a scope/],
    [['create', '--name', 'x', '--scope', 'push:LNGS', '--days', 'many'], /whole number of days/],
    [['create', '--name', 'x'], /--scope/],
    [['revoke', 'nobody'], /there is no token "nobody"/],
  ])('cygnet token %j is refused with a sentence', async (args, sentence) => {
    await expect(token(...args)).rejects.toMatchObject({
      stderr: expect.stringMatching(sentence),
      stdout: '',
    })
  })
})
