/** `cygnet runs` for analysts, who have only a token for the API. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, test, vi } from 'vitest'
import * as link from '../../../../cli/commands/link.ts'
import * as recall from '../../../../cli/commands/recall.ts'
import * as runs from '../../../../cli/commands/runs.ts'
import { runTable } from '../../../../cli/runs/run-text.ts'
import { createHandler } from '../../../../functions/catalog-api/handler.ts'
import { identify, type ProcessIdentity } from '../../../../infra/local/identity.ts'
import { temporaryFolder } from '../../../../infra/local/testing.ts'
import { createToken } from '../../../../shared/access/tokens.ts'
import { copyToTape, record } from '../../../support/catalogue.ts'
import { cygnet, serve } from '../../../support/cli/in-process.ts'
import { BEGIN_OF_RUN, metadataOf, versionOf } from '../../../support/metadata.ts'
import { recallTape } from '../../../support/recall-tape.ts'
import { makeRun, onlyOnTape } from '../../../support/recalled-runs.ts'
import { startTestTapeContext, type TestTapeContext } from '../../../support/tape-context.ts'

const HOUR = 3600
const DAY_OF_RUN_1 = '2023-12-14'

let context: TestTapeContext
let api: Awaited<ReturnType<typeof serve>>
let all: string
let lnf: string
beforeAll(async () => {
  context = await startTestTapeContext({ environment: { CYGNET_REQUESTS_PER_MINUTE: '0' } })
  const app = createHandler(context)
  api = await serve({ fetch: (request) => app.fetch(request) })
  const token = async (name: string, scopes: string[]) =>
    (await createToken(context.database, { name, scopes, days: 1 }, new Date())).secret
  all = await token('ana', ['read:*', 'link:*', 'recall:*'])
  lnf = await token('bob', ['read:LNF'])
  const rows = [
    {
      n: 1,
      tag: 'LNGS',
      odb: { GEM1_V: 440, exposure_sec: 0.30000001192092896, run_description: 'AmBe, 5 cm lead' },
    },
    { n: 2, tag: 'LNGS', odb: { GEM1_V: 430, run_description: '=1+1, "quoted"\n\u001b[31mred' } },
    { n: 3, tag: 'LNGS', odb: { GEM1_V: -1, pedestal_run: 1 } },
    { n: 4, tag: 'LNF', odb: { GEM1_V: 440 } },
    { n: 3, tag: 'FLASH/2024', odb: { GEM1_V: 440, run_description: 'ambe source' } },
  ]
  for (const { n, tag, odb } of rows) await recordRun(n, tag, odb)
  await copyToTape(context.database, 1)
  // The number is used again, two days later.
  await recordRun(4, 'LNF', { GEM1_V: 100 }, BEGIN_OF_RUN + 48 * HOUR, 'later')
})
afterAll(async () => {
  await api?.close()
  await context?.close()
})
beforeEach(() => {
  for (const name of ['CYGNET_FOLDER', 'HOME', 'XDG_CONFIG_HOME']) vi.stubEnv(name, temporaryFolder())
})
afterEach(() => {
  vi.unstubAllEnvs()
})

async function recordRun(
  n: number,
  tag: string,
  odb: object,
  startedAt = BEGIN_OF_RUN + n * HOUR,
  content = `run ${n} of ${tag}`,
) {
  const metadata = metadataOf(n, {}, content)
  await record(
    context.database,
    versionOf(`${tag}/run${String(n).padStart(5, '0')}.mid.gz`, `etag-${content}`, { versionId: content }),
    {
      ...metadata,
      complete: n !== 2,
      problem: n === 2 ? { code: 'truncated', message: 'the file ends in an event', offset: 17 } : null,
      startedAt,
      stoppedAt: startedAt + 60,
      odb: { ...metadata.odb, ...odb },
    },
    { tag },
  )
}

const viaApi = (token = all) => ({ CYGNET_API_URL: api.url, CYGNET_API_TOKEN: token })
const ls = (environment: Readonly<Record<string, string>>, ...args: readonly string[]) =>
  cygnet([runs], environment, 'runs', 'ls', ...args)
const lines = (text: string) =>
  text
    .trim()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))
const names = (stdout: string) => lines(stdout).map(({ tag, runNumber }) => `${tag}/${runNumber}`)

describe('cygnet runs ls', () => {
  it.each([
    [[], ['LNF/4', 'FLASH/2024/3', 'LNGS/3', 'LNGS/2', 'LNGS/1']],
    [
      ['--tag', 'LNGS'],
      ['LNGS/3', 'LNGS/2', 'LNGS/1'],
    ],
    [
      ['--tag', 'LNF', '--tag', 'FLASH/2024'],
      ['LNF/4', 'FLASH/2024/3'],
    ],
    [
      ['--range', '1..2'],
      ['LNGS/2', 'LNGS/1'],
    ],
    [['--incomplete'], ['LNGS/2']],
    [['--pedestal'], ['LNGS/3']],
    [['--tape', 'on-media'], ['LNGS/1']],
    [['--cloud', 'absent'], []],
    [
      ['--text', 'ambe', '--sort', 'run'],
      ['LNGS/1', 'FLASH/2024/3'],
    ],
    [['--param', 'GEM1_V>=440', '--tag', 'LNGS'], ['LNGS/1']],
    [['--param', 'gem1_v < 440', '--param', 'GEM1_V!=430', '--tag', 'LNGS'], ['LNGS/3']],
    [['--param', 'exposure_sec=0.3', '--range', '1..1'], ['LNGS/1']],
    [['--since', DAY_OF_RUN_1, '--until', '2023-12-15T00:00', '--sort', 'start'], ['LNGS/1']],
    [
      ['--sort', 'run', '--limit', '2'],
      ['LNGS/1', 'LNGS/2'],
    ],
  ] as const)('%j', async (args, expected) => {
    const { code, error, stdout } = await ls(viaApi(), ...args, '--json')
    expect({ code, error }).toEqual({ code: 0, error: null })
    // Runs of one number have no order between the tags.
    expect(names(stdout).toSorted()).toEqual([...expected].toSorted())
  })

  it('cygnet runs ls refuses a tag that the catalogue does not know, instead of showing no runs', async () => {
    const { error, stdout } = await ls(viaApi(), '--tag', 'lngs')
    expect(stdout).toBe('')
    expect(String(error)).toContain('no run of the tag lngs yet, but of LNGS')
  })

  it('cygnet runs ls prints one line for each run, whatever its description', async () => {
    const { stdout, stderr } = await ls(viaApi(), '--tag', 'LNGS', '--limit', '2')
    const [head, ...rows] = stdout.trim().split('\n')
    expect(head).toMatch(/run +tag +started \(UTC\).* store +tape +description/)
    expect(rows).toHaveLength(2)
    expect(rows[1]).toMatch(/2 +LNGS .* no .*"quoted" \[31mred +the file ends in an event/)
    expect(stderr).toContain('more than these 2; --limit')
  })

  it('runs ls --csv prints CSV that is safe to open in a spreadsheet, with all parameters', async () => {
    const { stdout } = await ls(viaApi(), '--tag', 'LNGS', '--csv')
    const [head = '', first = ''] = stdout.split('\r\n')
    expect(head).toMatch(/^tag,runNumber,startedAt,.*,cloud,tape,local,.*param\.GEM1_V/)
    expect(first).toMatch(/^LNGS,3,/)
    expect(stdout).toContain(`"'=1+1, ""quoted""`)
  })

  it('cygnet runs ls reads pages until the limit', async () => {
    const { stdout } = await ls(viaApi(), '--limit', '501', '--json')
    expect(names(stdout)).toHaveLength(5)
  })
})

test('cygnet runs ls reads several pages of the API without gaps', async () => {
  const requests: string[] = []
  const pages = await serve({
    fetch: (request) => {
      const url = new URL(request.url)
      requests.push(`${url.searchParams.get('limit')} ${url.searchParams.get('cursor')}`)
      const run = { ...item, runNumber: requests.length }
      return Response.json({
        runs: url.searchParams.get('limit') === '500' ? Array(500).fill(run) : [run],
        next: 'further',
      })
    },
  })
  const item = lines((await ls(viaApi(), '--json', '--limit', '1')).stdout)[0]
  const { stdout } = await ls(
    { CYGNET_API_URL: pages.url, CYGNET_API_TOKEN: all },
    '--json',
    '--limit',
    '1001',
  )
  await pages.close()
  expect(lines(stdout)).toHaveLength(1001)
  expect(requests).toEqual(['500 null', '500 further', '1 further'])
})

test.each([
  [['--param', 'GEM1_V'], /such as 'GEM1_V>=440'/],
  [['--param', 'GEM9_V>1'], /no parameter GEM9_V/],
  [['--param', 'storage_tape_status=1'], /use --cloud and --tape/],
  [['--param', 'GEM1_V>high'], /GEM1_V is compared with a number/],
  [['--since', 'soon'], /A time is expected/],
  [['--since', '2024-02-31'], /A time is expected/],
  [['--range', '5..1'], /the smaller one/],
  [['--tape', 'gone'], /on-media/],
  [['--sort', 'name'], /One of run, -run/],
  [['--limit', '0'], /from 1/],
  [['--json', '--csv'], /cannot be used with/],
])('cygnet runs ls %j is refused before any request', async (args, sentence) => {
  expect((await ls({ CYGNET_API_URL: 'http://127.0.0.1:9' }, ...args)).error).toMatch(sentence)
})

it('the table of runs names its counts MIDAS events, since triggers are fewer', () => {
  expect(runTable([])).toMatch(/ MIDAS events /)
})

describe('cygnet runs show', () => {
  const show = (...args: readonly string[]) => cygnet([runs], viaApi(), 'runs', 'show', ...args)

  it('cygnet runs show prints parameters, checksums, copies and history', async () => {
    const { code, stdout } = await show('1')
    expect(code).toBe(0)
    expect(stdout).toMatch(/^run +1 of LNGS$/m)
    expect(stdout).toMatch(/^tape +on tape$/m)
    expect(stdout).toMatch(/^GEM1_V +440$/m)
    expect(stdout).toMatch(/^triggers +20$/m)
    expect(stdout).toMatch(/^MIDAS events +21 \(triggers and slow control\)$/m)
    expect(stdout).toContain(metadataOf(1, {}, 'run 1 of LNGS').checksums.md5)
    expect(stdout).toMatch(/\n\nhistory\nat \(UTC\)/)
    expect((await show('2')).stdout).not.toContain('\u001b[31m')
  })

  it('runs show --all prints the earlier generations of a number', async () => {
    expect((await show('4')).stdout).toContain(
      'This run number has 2 generations; --all shows the earlier ones too.',
    )
    const { stdout } = await show('4', '--all', '--json')
    expect(JSON.parse(stdout)).toMatchObject([
      { current: true, parameters: { GEM1_V: 100 } },
      { current: false, parameters: { GEM1_V: 440 } },
    ])
  })

  it('cygnet runs show lists the tags when several have the number, and reports a run that does not exist', async () => {
    expect((await show('3')).error).toBe('there is a run 3 of FLASH/2024 and of LNGS: give --tag')
    expect((await show('3', '--tag', 'FLASH/2024')).stdout).toMatch(/^run +3 of FLASH\/2024$/m)
    expect((await show('99')).error).toMatch(/^run 99 is not in the catalogue.*cygnet reconcile/)
    expect((await show('99', '--tag', 'LNF')).error).toMatch(/^run 99 of LNF is not in the catalogue/)
  })
})

describe('the rights of the caller', () => {
  it('a caller without a token is asked to sign in; an unknown token is not shown', async () => {
    expect((await ls({ CYGNET_API_URL: api.url })).error).toBe('sign in first: cygnet login')
    const { error } = await ls(viaApi('cyg_not-a-good-one'))
    expect(error).toMatch(/does not accept CYGNET_API_TOKEN/)
    expect(error).not.toContain('not-a-good-one')
  })

  it('a caller sees the runs of the tags of the token, and gets a sentence about others', async () => {
    expect(names((await ls(viaApi(lnf), '--json')).stdout)).toEqual(['LNF/4'])
    expect((await ls(viaApi(lnf), '--tag', 'LNGS')).error).toBe('bob may not see runs of LNGS')
    expect((await cygnet([runs], viaApi(lnf), 'runs', 'show', '1')).error).toMatch(
      /not in the catalogue, or of a tag that you may not see/,
    )
    expect((await cygnet([link], viaApi(lnf), 'link', '4')).error).toMatch(/^bob may not/)
    expect((await cygnet([recall], viaApi(lnf), 'recall', '4')).error).toMatch(/^bob may not/)
  })

  it('without any setting the error lists the ways to name a catalogue', async () => {
    expect((await ls({})).error).toMatch(/no catalogue is configured: sign in \(cygnet login/)
  })

  it('without settings the running local stack is used with its own token, which is sent to no other API', async () => {
    const folder = temporaryFolder()
    const environment = { CYGNET_API_URL: api.url, CYGNET_API_TOKEN: lnf }
    const ofProcess = (stack: ProcessIdentity) =>
      writeFileSync(join(folder, 'stack.json'), JSON.stringify({ process: stack, environment }))
    ofProcess({ ...identify(process.pid), startTicks: '1' })
    expect((await ls({ CYGNET_FOLDER: folder })).error).toMatch(/no catalogue is configured/)
    ofProcess(identify(process.pid))
    const { error, stdout } = await ls({ CYGNET_FOLDER: folder }, '--json')
    expect({ error, names: names(stdout) }).toEqual({ error: null, names: ['LNF/4'] })
    expect(names((await ls({ CYGNET_FOLDER: folder, CYGNET_API_TOKEN: all }, '--json')).stdout)).toHaveLength(
      5,
    )
    vi.stubEnv('CYGNET_API_TOKEN', '')
    const sent: (string | null)[] = []
    const other = await serve({
      fetch: (request) => {
        sent.push(request.headers.get('authorization'))
        return Response.json({ detail: 'who are you?' }, { status: 401 })
      },
    })
    expect((await ls({ CYGNET_FOLDER: folder }, '--api', other.url)).error).toBe(
      'sign in first: cygnet login',
    )
    await other.close()
    expect(sent).toEqual([null])
  })

  it('with a named API the settings of the database are not needed', async () => {
    const nowhere = { CYGNET_DATABASE_URL: 'mysql://nobody@127.0.0.1:1/none' }
    expect((await ls({ ...nowhere, CYGNET_API_TOKEN: all }, '--api', api.url)).code).toBe(0)
    expect((await ls({ ...nowhere, ...viaApi() })).code).toBe(0)
  })

  it('with only the settings of the database the error states that an API is needed', async () => {
    const catalogue = { ...context.store.environment, CYGNET_DATABASE_URL: context.catalogue.url }
    const { code, error } = await ls(catalogue)
    expect(code).toBe(1)
    expect(error).toMatch(/no catalogue is configured: sign in \(cygnet login/)
  })
})

describe('cygnet link and cygnet recall through the API', () => {
  it('link and recall of a run in the store print links and extend the time it is kept', async () => {
    const run = await makeRun(context, 900)
    const { code, stdout, stderr } = await cygnet([link], viaApi(), 'link', '900', '--seconds', '60')
    expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringMatching(/valid until/) })
    expect(Buffer.from(await (await fetch(stdout.trim())).arrayBuffer()).equals(run.bytes)).toBe(true)
    const kept = await cygnet([recall], viaApi(), 'recall', '900', '--days', '30', '--json')
    expect(kept.code).toBe(0)
    expect(JSON.parse(kept.stdout)).toMatchObject({
      tag: 'LNGS',
      runNumber: 900,
      files: [{ key: run.key, md5: run.md5, state: 'present' }],
    })
  })

  it('link states how to recall a run from tape, and recall requests it', async () => {
    const tape = recallTape()
    const run = await onlyOnTape({ ...context, tape }, tape, 901)
    expect(await cygnet([link], viaApi(), 'link', '901')).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringContaining('add --recall'),
    })
    expect(await cygnet([link], viaApi(), 'link', '901', '--recall')).toMatchObject({
      code: 3,
      stderr: expect.stringContaining('recalling since'),
    })
    const recallResult = await cygnet([recall], viaApi(), 'recall', '901', '--json')
    expect(recallResult.code).toBe(3)
    expect(JSON.parse(recallResult.stdout).files).toMatchObject([{ key: run.key, state: 'requested' }])
    expect((await cygnet([recall], viaApi(), 'recall', '902')).error).toMatch(
      /^run 902 is not in the catalogue/,
    )
  })
})
