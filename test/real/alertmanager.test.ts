/**
 * Silences, inhibitions, groups and matchers are those of a real Alertmanager that is given the same; and what it
 * sends is understood.
 */
import { getRequestListener } from '@hono/node-server'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createApi } from '../../functions/catalog-api/app.ts'
import { createToken } from '../../shared/access/tokens.ts'
import { groupKey } from '../../shared/alerts/grouping.ts'
import { type InhibitionRule, inhibitedBy } from '../../shared/alerts/inhibition.ts'
import { matchesAll, parseMatchers } from '../../shared/alerts/matchers.ts'
import { checkSilence, matchingSilences } from '../../shared/alerts/silences.ts'
import type { Matcher } from '../../shared/database/alert-schema.ts'
import type { Labels } from '../../shared/messages/alert-labels.ts'
import { alerts as format } from '../../shared/messages/alerts.ts'
import { receiversOf, type ServedAlert, startAlertmanager } from '../support/alerts/real-alertmanager.ts'
import { startHttpServer } from '../support/http-server.ts'
import { startTestTapeContext } from '../support/tape-context.ts'

const HOUR_MS = 3_600_000
const ROUNDS = 30
const WITHIN = { timeout: 30_000, interval: 100 }

const NAMES = ['alertname', 'tag', 'run', 'subject', 'severity'] as const
const VALUES = ['', 'LNGS', 'LNF', '12345', 'tape-copy-fails', 'Überwachung', 'µ"b\\n', '昼 夜', 'a\nb', '(']
const EXPRESSIONS = [
  ...[
    '',
    '.*',
    '.+',
    'LN',
    'LN.*',
    '.*GS',
    'L(?:NGS|NF)',
    'LNGS|',
    'lngs',
    '(?i)lngs',
    '[^L].*',
    '\\d+',
    '\\D*',
  ],
  ...[
    '\\pL+',
    '\\w*',
    '.',
    '昼.夜',
    '.*\\s.*',
    '(?s).*',
    'a.b',
    'a\\nb',
    '\\(',
    '\\Q(\\E',
    '^LNGS$',
    'L\\b.*',
    '$',
  ],
  ...['(a+)+b?', '[[:alpha:]]+', '\\x{4e2d}?.*夜', 'Ü.{10,11}', '(?P<name>L)NF', '(?:)', 'LNGS\\z'],
]
const WRONG = [
  ...[
    '(',
    ')',
    '[',
    'a**',
    '(?=a)',
    '(?!a)',
    '(?<=a)',
    '\\1',
    '(?P<n>',
    'a{1001}',
    '(a{1000}){1000}',
    '\\8',
    '*',
  ],
  ...['a)(b', '\\', '[z-a]', '\\C', '(?x)a', '\\p{Nothing}', 'a{2,1}'],
]

const labels = fc
  .record(Object.fromEntries(NAMES.map((name) => [name, fc.constantFrom(...VALUES)])), { requiredKeys: [] })
  .map(
    (all): Labels =>
      Object.fromEntries(Object.entries(all).flatMap(([name, value]) => (value ? [[name, value]] : []))),
  )
const matcher: fc.Arbitrary<Matcher> = fc
  .record({ name: fc.constantFrom(...NAMES, 'missing'), isRegex: fc.boolean(), isEqual: fc.boolean() })
  .chain((given) =>
    fc.constantFrom(...(given.isRegex ? EXPRESSIONS : VALUES)).map((value): Matcher => ({ ...given, value })),
  )
const matchers = fc.array(matcher, { minLength: 1, maxLength: 3 })
const inhibition: fc.Arbitrary<InhibitionRule> = fc.record({
  source: matchers,
  target: matchers,
  equal: fc.subarray([...NAMES, 'missing']),
})
const scene = fc.record({
  alerts: fc.array(labels, { minLength: 1, maxLength: 60, size: 'max' }),
  silences: fc.array(fc.record({ matchers, when: fc.constantFrom('now', 'now', 'later', 'over') }), {
    maxLength: 12,
  }),
  inhibitions: fc.array(inhibition, { maxLength: 6 }),
  by: fc.subarray([...NAMES, 'missing']),
})

const operatorOf = ({ isRegex, isEqual }: Matcher) => `${isEqual ? '' : '!'}${isRegex ? '~' : '='}`
/** As its configuration has it: the text form, each value as JSON, whose escapes are its own. */
const written = (all: readonly Matcher[]) =>
  all.map((one) => `${one.name}${operatorOf(one).replace(/^~/, '=~')}${JSON.stringify(one.value)}`)

const configurationOf = (inhibitions: readonly InhibitionRule[], by: readonly string[]) => ({
  route: { receiver: 'none', ...(by.length > 0 && { group_by: by }), group_wait: '1h' },
  receivers: [{ name: 'none' }],
  inhibit_rules: inhibitions.map(({ source, target, equal }) => ({
    source_matchers: written(source),
    target_matchers: written(target),
    equal,
  })),
})

/** Each with a label of its own, so that alerts with the same labels are several. */
const numbered = (all: readonly Labels[]): readonly Labels[] =>
  all.map((one, index) => ({ ...one, number: String(index) }))
const numberOf = (one: Labels) => one.number ?? ''

describe('a real Alertmanager that is given the same', () => {
  const scenes = fc.sample(scene, { numRuns: ROUNDS, seed: 7 })
  it.each(scenes.map((given, round) => ({ ...given, round })))(
    'silences, inhibits and groups the same alerts (round $round)',
    async ({ alerts, silences, inhibitions, by }) => {
      const server = await startAlertmanager(configurationOf(inhibitions, by))
      try {
        const given = numbered(alerts)
        const now = Date.now()
        const startsAt = new Date(now - HOUR_MS).toISOString()
        const endsAt = new Date(now + HOUR_MS).toISOString()
        for (const { matchers, when } of silences) {
          const draft = { startsAt: when === 'later' ? endsAt : startsAt, matchers }
          const ends = new Date(now + 2 * HOUR_MS)
          const made = await server.ask('POST', '/silences', {
            ...draft,
            ...{ endsAt: ends.toISOString(), createdBy: 'a test', comment: 'a reason' },
          })
          const check = () =>
            checkSilence(
              { matchers, startsAt: new Date(draft.startsAt), endsAt: ends, author: 'a', comment: 'b' },
              new Date(),
            )
          if (made.status === 200) expect(check).not.toThrow()
          else expect(check, JSON.stringify(made.body)).toThrow('a silence needs a matcher')
          if (made.status === 200 && when === 'over')
            await server.ask('DELETE', `/silence/${(made.body as { silenceID: string }).silenceID}`)
        }
        const posted = given.map((one) => ({ labels: one, startsAt, endsAt }))
        expect(await server.ask('POST', '/alerts', posted)).toMatchObject({ status: 200 })

        type Kept = { id: string; matchers: Matcher[]; startsAt: string; endsAt: string }
        const kept = (await server.ask('GET', '/silences')).body as Kept[]
        const ours = kept.map((one) => ({
          ...one,
          startsAt: new Date(one.startsAt),
          endsAt: new Date(one.endsAt),
        }))
        const firing = given.map((one) => ({ labels: one }))
        const expected = given.map((one) => ({
          number: numberOf(one),
          silencedBy: matchingSilences(one, ours, new Date())
            .map(({ id }) => id)
            .toSorted(),
          isInhibited: inhibitedBy(one, firing, inhibitions) !== null,
        }))
        // Its inhibitor hears of alerts a moment after they are accepted.
        await expect
          .poll(async () => {
            const served = (await server.ask('GET', '/alerts')).body as ServedAlert[]
            return served
              .map(({ labels: { number }, status }) => ({
                number,
                silencedBy: status.silencedBy.toSorted(),
                isInhibited: status.inhibitedBy.length > 0,
              }))
              .toSorted((a, b) => Number(a.number) - Number(b.number))
          }, WITHIN)
          .toEqual(expected)

        const groups = [...Map.groupBy(given, (one) => groupKey(one, by))]
        const groupsOf = (all: readonly (readonly [string, readonly Labels[]])[]) =>
          Object.fromEntries(all.map(([key, members]) => [key, members.map(numberOf).toSorted()]))
        await expect
          .poll(async () => {
            const served = (await server.ask('GET', '/alerts/groups')).body as {
              labels: Labels
              alerts: ServedAlert[]
            }[]
            return groupsOf(
              served.map((group) => [
                groupKey(group.labels, Object.keys(group.labels)),
                group.alerts.map((one) => one.labels),
              ]),
            )
          }, WITHIN)
          .toEqual(groupsOf(groups))
      } finally {
        await server.close()
      }
    },
  )

  it('is given scenes in which each of silences, inhibitions and groups occurs often', () => {
    const all = scenes.map(({ alerts, silences, inhibitions, by }) => {
      const given = numbered(alerts)
      const at = { startsAt: new Date(0), endsAt: new Date(2) }
      const active = silences.filter(({ when }) => when === 'now').map((one) => ({ ...one, ...at }))
      return {
        silenced: given.filter((one) => matchingSilences(one, active, new Date(1)).length > 0).length,
        overlapping: given.filter((one) => matchingSilences(one, active, new Date(1)).length > 1).length,
        inhibited: given.filter(
          (one) =>
            inhibitedBy(
              one,
              given.map((other) => ({ labels: other })),
              inhibitions,
            ) !== null,
        ).length,
        groups: new Set(given.map((one) => groupKey(one, by))).size,
        alerts: given.length,
      }
    })
    const sum = (name: keyof (typeof all)[number]) => all.reduce((total, one) => total + one[name], 0)
    for (const name of ['silenced', 'overlapping', 'inhibited', 'groups'] as const)
      expect(sum(name), name).toBeGreaterThan(20)
    expect(sum('silenced')).toBeLessThan(sum('alerts'))
    expect(sum('inhibited')).toBeLessThan(sum('alerts'))
  })

  it('refuses the same silences', async () => {
    const server = await startAlertmanager(configurationOf([], []))
    const now = Date.now()
    const good = {
      matchers: [{ name: 'tag', value: 'LNGS', isRegex: false, isEqual: true }],
      startsAt: new Date(now),
      endsAt: new Date(now + HOUR_MS),
    }
    const regex = (value: string) => ({
      ...good,
      matchers: [{ name: 'tag', value, isRegex: true, isEqual: true }, ...good.matchers],
    })
    const named = (name: string) => ({
      ...good,
      matchers: [{ name, value: 'x', isRegex: false, isEqual: true }],
    })
    try {
      const drafts = [
        ...[good, { ...good, matchers: [] }, { ...good, endsAt: good.startsAt }],
        { ...good, endsAt: new Date(now - HOUR_MS), startsAt: new Date(now - 2 * HOUR_MS) },
        ...EXPRESSIONS.map(regex),
        ...WRONG.map(regex),
        ...['', '1a', 'a-b', 'ä', 'a b', '_a1', 'a.b', 'A'].map(named),
      ]
      for (const draft of drafts) {
        const { status } = await server.ask('POST', '/silences', {
          ...draft,
          ...{ createdBy: 'a test', comment: 'a reason' },
        })
        const check = () => checkSilence({ ...draft, author: 'a test', comment: 'a reason' }, new Date(now))
        if (status === 200) expect(check, JSON.stringify(draft)).not.toThrow()
        else expect(check, JSON.stringify(draft)).toThrow()
      }
    } finally {
      await server.close()
    }
  })
})

describe('the text of matchers', () => {
  const SETS: readonly Labels[] = [
    {},
    { tag: 'LNGS', alertname: 'tape-copy-fails' },
    { tag: 'LNF', alertname: 'x,y' },
    { tag: 'a"b', alertname: 'a\\b' },
    { tag: 'Überwachung', alertname: 'a\nb' },
    { tag: '}', alertname: '=' },
  ]
  const ACCEPTED = [
    ...[
      '{tag="LNGS", alertname=~"tape.*"}',
      'tag="LNGS"',
      'tag=LNGS',
      ' tag = LNGS ',
      '{tag="LNGS",}',
      'tag=""',
    ],
    ...['tag=', 'tag!=', 'tag!="LNGS",alertname!~"t.*"', '{alertname="x,y"}', 'alertname=x', 'tag="a\\"b"'],
    ...[
      'alertname="a\\\\b"',
      'alertname=a\\b',
      'alertname="a\\nb"',
      'alertname="a\nb"',
      'alertname=~"a\\\\\\\\b"',
    ],
    ...[
      'tag=~"[^\\"]*"',
      'tag=~"\\w+"',
      'tag="Überwachung"',
      'tag=~Über.*',
      'tag="}"',
      'alertname="="',
      'tag==~',
    ],
    ...['{tag=~"LN(GS|F)"}', 'tag=~"LNGS|LNF",alertname=~".*,.*"', 'tag=a\\', 'tag=~"(?i)lngs"'],
  ]
  const REFUSED = [
    ...[
      'tag',
      'tag="LNGS',
      'tag=LNGS"',
      'tag="a"b"',
      '="x"',
      'tag~"x"',
      '1a=x',
      'a-b=x',
      ',tag=x',
      'tag=x,,tag=y',
    ],
    ...['tag=~"("', 'tag=~"a**"', 'tag=~"(?=a)"', '{tag="a" alertname="b"}', 'tag="a\\"', 'tag="'],
  ]
  const treeOf = (texts: readonly string[]) => ({
    route: {
      receiver: 'none',
      routes: texts.map((text, index) => ({ receiver: `r${index}`, matchers: [text], continue: true })),
    },
    receivers: [{ name: 'none' }, ...texts.map((_, index) => ({ name: `r${index}` }))],
  })

  it.each(SETS)('matches %j as amtool does', async (labels) => {
    const found = ACCEPTED.flatMap((text, index) =>
      matchesAll(parseMatchers(text), labels) ? [`r${index}`] : [],
    )
    expect(await receiversOf(treeOf(ACCEPTED), labels)).toEqual(found.length === 0 ? ['none'] : found)
  })

  it.each(REFUSED)('%j is refused as amtool does', async (text) => {
    await expect(receiversOf(treeOf([text]), {})).rejects.toThrow()
    expect(() => parseMatchers(text)).toThrow()
  })
})

describe('a real Alertmanager whose receiver is the API', () => {
  it('has its alerts recorded once, and ended, also when the first answers are lost', async () => {
    const context = await startTestTapeContext()
    // An alert counts once an hour, and the test may begin at the end of one.
    const at = new Date()
    const { app } = createApi({ ...context, now: () => at })
    const listener = getRequestListener((request) => app.fetch(request))
    const statuses: number[] = []
    const server = await startHttpServer((request, response) => {
      // The work is done, and the answer is lost: it is sent again.
      if (statuses.length < 2) response.end = () => response.destroy()
      response.on('close', () => statuses.push(response.writableFinished ? response.statusCode : 0))
      listener(request, response)
    })
    const { secret } = await createToken(
      context.database,
      { name: 'alertmanager', scopes: ['alert:*'], days: 1 },
      new Date(),
    )
    const receiver = {
      url: `${server.origin}/api/v1/alerts/alertmanager`,
      http_config: { authorization: { credentials: secret } },
      max_alerts: 3,
    }
    const alertmanager = await startAlertmanager({
      route: {
        ...{ receiver: 'cygnet', group_by: ['alertname'], group_wait: '100ms', group_interval: '300ms' },
        repeat_interval: '600ms',
      },
      receivers: [{ name: 'cygnet', webhook_configs: [receiver] }],
    })
    try {
      const written = async () => {
        const rows = await context.database.selectFrom('outbox').select('body').orderBy('id').execute()
        return rows.map(({ body }) => format.parse(body)).filter(({ rule }) => rule === 'external')
      }
      const alerts = ['LNGS', 'Überwachung "µ"'].map((tag) => ({
        labels: { alertname: 'GasPressureHigh', severity: 'critical', instance: 'gas01', tag },
        annotations: { summary: 'the gas pressure is 1.2 bar' },
      }))
      await alertmanager.ask('POST', '/alerts', alerts)
      await expect.poll(async () => (await written()).length, WITHIN).toBe(2)
      // Lost answers, then repetitions.
      await expect.poll(() => statuses.filter((status) => status === 200).length, WITHIN).toBeGreaterThan(3)
      expect(statuses).toContain(0)
      expect((await written()).map(({ kind, severity, labels }) => ({ kind, severity, labels }))).toEqual(
        alerts.map(({ labels }) => ({
          ...{ kind: 'raise', severity: 'page', labels: { ...labels, source: 'alertmanager' } },
        })),
      )
      const [first] = alerts
      await alertmanager.ask('POST', '/alerts', [{ ...first, endsAt: new Date().toISOString() }])
      await expect.poll(async () => (await written()).map(({ kind }) => kind), WITHIN).toContain('resolve')
      const [raised, , ended, ...more] = await written()
      expect(ended).toMatchObject({ kind: 'resolve', fingerprint: raised?.fingerprint })
      expect(more).toEqual([])

      const many = Array.from({ length: 5 }, (_, index) => ({
        labels: { alertname: 'Many', instance: String(index) },
      }))
      await alertmanager.ask('POST', '/alerts', many)
      const truncated = async () =>
        (await context.database.selectFrom('outbox').select('body').execute())
          .map(({ body }) => format.parse(body))
          .filter(({ rule }) => rule === 'external-truncated')
      await expect.poll(async () => (await truncated())[0]?.summary, WITHIN).toContain('left 2 alerts out')
    } finally {
      await alertmanager.close()
      await server.close()
      await context.close()
    }
  })
})
