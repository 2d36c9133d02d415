/** Commands with access to the database record who used them to change something: the user of the shell. */
import { hostname, userInfo } from 'node:os'
import type { Command } from 'commander'
import { sql } from 'kysely'
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import * as adopt from '../../../../cli/commands/adopt.ts'
import * as clean from '../../../../cli/commands/clean.ts'
import * as dead from '../../../../cli/commands/dead.ts'
import * as migrate from '../../../../cli/commands/migrate.ts'
import * as notifications from '../../../../cli/commands/notifications.ts'
import * as reconcile from '../../../../cli/commands/reconcile.ts'
import * as replay from '../../../../cli/commands/replay.ts'
import * as token from '../../../../cli/commands/token.ts'
import * as verify from '../../../../cli/commands/verify.ts'
import { createProgram } from '../../../../cli/main.ts'
import { listUses } from '../../../../shared/access/audit.ts'
import { migrations } from '../../../../shared/database/migrate.ts'
import { deadLetterQueue } from '../../../../shared/queue/queues.ts'
import { startTestCatalogue } from '../../../support/catalogue.ts'
import { cygnet } from '../../../support/cli/in-process.ts'
import { signal } from '../../../support/context.ts'
import { safeRun } from '../../../support/deletions.ts'
import { startTestTapeContext, type TestTapeContext } from '../../../support/tape-context.ts'

let context: TestTapeContext
beforeAll(async () => {
  context = await startTestTapeContext()
})
afterAll(() => context?.close())
afterEach(() => {
  vi.unstubAllEnvs()
  vi.restoreAllMocks()
  process.exitCode = undefined
})

const run = (...args: string[]) =>
  cygnet(
    [adopt, clean, dead, migrate, notifications, reconcile, replay, token, verify],
    {
      CYGNET_DATABASE_URL: context.catalogue.url,
      CYGNET_FOLDER: '/nonexistent',
      CYGNET_TAPE_DRIVER: 'directory',
      CYGNET_TAPE_DIRECTORY: context.tapeFolder,
      ...context.store.environment,
    },
    ...args,
  )

/**
 * How each command is recorded that changes something. `audited`: by its user. `api`: by the API, with the person
 * or token. Null: it changes nothing that a right is needed for (its own files, the local stack), or objects by
 * credentials for the store, which the store records.
 */
const COMMANDS: Readonly<Record<string, 'audited' | 'api' | null>> = {
  adopt: 'audited',
  clean: 'audited',
  config: null,
  'dead dismiss': 'audited',
  'dead ls': null,
  'dead retry': 'audited',
  'dead show': null,
  demo: null,
  doctor: null,
  get: null,
  inspect: null,
  link: 'api',
  login: null,
  logout: null,
  logs: null,
  migrate: 'audited',
  'notifications apply': 'audited',
  'notifications show': null,
  'notifications test': 'audited',
  push: 'api',
  recall: 'api',
  reconcile: 'audited',
  replay: 'audited',
  'runs ls': null,
  'runs show': null,
  simulate: null,
  'token create': 'audited',
  'token ls': null,
  'token revoke': 'audited',
  up: null,
  verify: 'audited',
}

test('of every command it is decided how its use is recorded', () => {
  const namesOf = (command: Command): readonly string[] =>
    command.commands.length === 0
      ? [command.name()]
      : command.commands.flatMap((each) => namesOf(each).map((name) => `${command.name()} ${name}`))
  const names = createProgram().commands.flatMap(namesOf)
  expect(names.toSorted()).toEqual(Object.keys(COMMANDS))
})

const lastUse = async () => (await listUses(context.database, { limit: 1 }))[0]

test('the schema is migrated with a record, also where the audit comes with it; nothing to do is none', async () => {
  const before = (await lastUse())?.id
  expect((await run('migrate')).stdout).toContain('up to date')
  expect((await lastUse())?.id).toBe(before)
  const fresh = await startTestCatalogue()
  try {
    const at = { CYGNET_DATABASE_URL: fresh.url, CYGNET_FOLDER: '/nonexistent' }
    const schema = async (...names: readonly string[]) => {
      for (const name of names)
        await sql`DELETE FROM kysely_migration WHERE name = ${name}`.execute(fresh.database.withoutPlugins())
      expect((await cygnet([migrate], at, 'migrate')).stdout).toContain(`migrated: ${names.join(', ')}`)
      return (await listUses(fresh.database, { limit: 5 })).map(({ action, object, outcome }) => [
        action,
        object,
        outcome,
      ])
    }
    const newest = Object.keys(migrations).at(-1) ?? ''
    expect(await schema(newest)).toEqual([['operate', `schema: ${newest}`, 'done']])
    await sql`DROP TABLE audited_uses`.execute(fresh.database.withoutPlugins())
    const since = Object.keys(migrations).filter((name) => name >= '0008-people')
    expect(await schema(...since)).toEqual([['operate', `schema: ${since.join(', ')}`, 'done']])
  } finally {
    await fresh.close()
  }
})

test('a command without a database states that its use is not recorded, and does its work', async () => {
  vi.stubEnv('CYGNET_DATABASE_URL', undefined)
  const store = { CYGNET_FOLDER: '/nonexistent', ...context.store.environment }
  const { stderr } = await cygnet(
    [notifications],
    store,
    ...[
      'notifications',
      'apply',
      '--bucket',
      context.bucket,
      '--arn',
      'arn:aws:sqs:eu-south-1:1:runs',
      '--yes',
    ],
  )
  expect(stderr).toContain('not recorded in the audit')
})

const ARN = 'arn:aws:sqs:eu-south-1:1:runs'

test('commands that change something are recorded with the user; plans are not', async () => {
  await safeRun(context, 'LNGS/run00001.mid.gz')
  await context.queues.send(deadLetterQueue('runs'), ['{}'], signal)
  for (const [args, isChange] of [
    [['token', 'create', '--name', 'daq01', '--scope', 'push:LNGS'], true],
    [['token', 'ls'], false],
    [['token', 'revoke', 'daq01'], true],
    [['token', 'revoke', 'nobody'], true],
    [['dead', 'retry', '--all'], false],
    [['dead', 'retry', '--all', '--queue', 'runs', '--yes'], true],
    [['replay', '--run', '1'], false],
    [['replay', '--run', '1', '--yes'], true],
    [['clean', '--dry-run'], false],
    [['clean', '--run', '1', '--tag', 'LNGS'], false],
    [['clean', '--run', '1', '--tag', 'LNGS', '--yes'], true],
    [['reconcile', '--prefix', 'LNGS/'], true],
    [['verify', '--run', '1'], true],
    [['verify', '--run', '7'], true],
    [['verify', '--sample', '1%', '--quick'], true],
    [['verify', '--dark'], true],
    [['notifications', 'show', '--bucket', context.bucket], false],
    [['notifications', 'apply', '--bucket', context.bucket, '--arn', ARN], false],
    [['notifications', 'apply', '--bucket', context.bucket, '--arn', ARN, '--yes'], true],
    [['notifications', 'test', '--bucket', context.bucket, '--seconds', '1'], true],
    [['adopt', '--tag', 'LNGS', '--since', '2023-05-01'], false],
    [['adopt', '--tag', 'LNGS', '--since', '2023-05-01', '--yes'], true],
  ] as const) {
    const before = (await listUses(context.database, { limit: 100 })).length
    await run(...args)
    const made = (await listUses(context.database, { limit: 100 })).length - before
    expect([args, made]).toEqual([args, isChange ? 1 : 0])
  }
  const { username } = userInfo()
  const uses = (await listUses(context.database, { limit: 100 })).toReversed()
  for (const use of uses)
    expect(use).toMatchObject({ subject: `shell:${username}@${hostname()}`, name: username, requestId: null })
  expect(uses.map(({ action, object, outcome }) => [action, object, outcome])).toEqual([
    ['operate', 'new token "daq01" for push:LNGS, 365 d', expect.stringMatching(/^token \d+$/)],
    ['operate', 'token daq01 revoked', '1 revoked'],
    ['operate', 'token nobody revoked', expect.stringMatching(/^refused: there is no token "nobody"/)],
    ['replay', 'dead letters sent back on runs: all unfinished', expect.stringMatching(/^\d sent back$/)],
    ['replay', `${context.bucket}/LNGS/run00001.mid.gz`, 'done'],
    ['clean', 'runs of LNGS run 1', 'deleted: 0 events, 1 files of runs'],
    ['operate', `reconcile ${context.bucket}/LNGS/`, expect.stringMatching(/^\d enqueued$/)],
    ['operate', 'verify the copies of run 1', 'everything is verified'],
    [
      'operate',
      'verify the copies of run 7',
      expect.stringMatching(/^refused: run 7 is not in the catalogue/),
    ],
    ['operate', expect.stringMatching(/^verify a sample .0\.01. of copies, by stated/), expect.anything()],
    ['operate', 'verify the listings of all places', expect.anything()],
    ['operate', `notifications of ${context.bucket} to ${ARN}`, expect.anything()],
    ['operate', `test of the notifications of ${context.bucket}`, expect.anything()],
    ['operate', 'adopt LNGS from 2023-05-01 00:00:00', 'done'],
  ])
})
