/** Commands with access to the database record who used them to change something: the user of the shell. */
import { hostname, userInfo } from 'node:os'
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import * as adopt from '../../../../cli/commands/adopt.ts'
import * as clean from '../../../../cli/commands/clean.ts'
import * as dead from '../../../../cli/commands/dead.ts'
import * as replay from '../../../../cli/commands/replay.ts'
import * as token from '../../../../cli/commands/token.ts'
import { listUses } from '../../../../shared/access/audit.ts'
import { deadLetterQueue } from '../../../../shared/queue/queues.ts'
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
    [adopt, clean, dead, replay, token],
    {
      CYGNET_DATABASE_URL: context.catalogue.url,
      CYGNET_FOLDER: '/nonexistent',
      CYGNET_TAPE_DRIVER: 'directory',
      CYGNET_TAPE_DIRECTORY: context.tapeFolder,
      ...context.store.environment,
    },
    ...args,
  )

test('tokens, dead letters, replays, deletions and adoptions are recorded with the user; plans are not', async () => {
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
    ['operate', 'adopt LNGS from 2023-05-01 00:00:00', 'done'],
  ])
})
