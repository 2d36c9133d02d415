/**
 * What people rely on between the request for an alert and its message in a channel. Every kind of channel that can
 * edit and find its messages must pass this suite.
 */
import { sql } from 'kysely'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { AlertChannel } from '../../../shared/alerts/channels/channel.ts'
import { reviewAlerts, showAlerts } from '../../../shared/alerts/dispatch.ts'
import { foldAlerts } from '../../../shared/alerts/episodes.ts'
import { alertPost, requestPosts } from '../../../shared/alerts/post.ts'
import { NOBODY } from '../../../shared/alerts/rota.ts'
import { advanceNext } from '../../../shared/work/advance.ts'
import type { Request } from '../../../shared/work/outbox.ts'
import { alert, resolved } from '../../../shared/work/raise-alert.ts'
import { signal } from '../context.ts'
import { until } from '../waiting.ts'
import { type AlertContext, createTestClock, startAlertContext } from './alert-context.ts'

/** A channel, and what people do and see in it. */
export interface ObservedChannel {
  readonly channel: AlertChannel
  /** The messages in the order of posting, with all text that they show. */
  visible(): Promise<readonly { readonly id: string; readonly text: string }[]>
  /** A person deletes a message. */
  delete(id: string): Promise<void>
  setDown(isDown: boolean): void
  /** Requests that came although the channel had asked to wait. */
  early(): number
}

export interface ChannelOptions {
  readonly name: string
  readonly now: () => Date
  readonly limit?: { readonly requests: number; readonly windowMs: number }
}

const MINUTE = 60_000

export function deliverySuite(
  what: string,
  openChannel: (options: ChannelOptions) => ObservedChannel | Promise<ObservedChannel>,
): void {
  describe(`an alert in ${what}`, () => {
    const clock = createTestClock()
    let base: AlertContext
    let context: AlertContext
    let shift: ObservedChannel
    let opened = 0
    beforeAll(async () => {
      base = await startAlertContext(clock)
    })
    afterAll(() => base?.close())
    beforeEach(async () => {
      await base.clear()
      opened += 1
      shift = await openChannel({ name: `shift-${opened}`, now: clock.now })
      context = base.with([shift.channel])
    })

    /** One call of the function, which waits at most 10 s of the test's time. */
    const show = (of = context) =>
      showAlerts(of, { withinMs: 10_000, wait: async (ms) => clock.advance(ms) }, signal, of.log)
    /** One call of the schedule. */
    const minute = async (of = context) => {
      clock.advance(MINUTE)
      await reviewAlerts(of, NOBODY)
      await show(of)
    }
    const texts = async (of = shift) => (await of.visible()).map(({ text }) => text)
    const full = (subject: string, cause?: string): Request =>
      alert({
        rule: 'store-is-full',
        severity: 'error',
        subject,
        summary: `the store ${subject} is full`,
        facts: { 'free, GB': 3 },
        ...(cause === undefined ? {} : { cause }),
      })
    const expireLeases = () =>
      context.database
        .updateTable('tasks')
        .set({ leaseUntil: sql<Date>`UTC_TIMESTAMP(3) - INTERVAL 1 SECOND` })
        .where('leaseOwner', 'is not', null)
        .execute()

    test('is visible with its summary, its facts and what it is about', async () => {
      await context.raise(
        alert({
          rule: 'copy-missing',
          severity: 'error',
          run: { id: null, tag: 'LNGS', runNumber: 4711 },
          object: { bucket: 'cygno-data', key: 'LNGS/run04711.mid.gz' },
          summary: 'a copy of run 4711 is missing',
          facts: { copies: 2 },
        }),
      )
      await show()
      const [text, ...others] = await texts()
      expect(others).toEqual([])
      for (const part of ['a copy of run 4711 is missing', 'copies', '2', 'LNGS', '4711', 'run04711.mid.gz'])
        expect(text).toContain(part)
    })

    test('that is raised 50 times is one message with the count 50', async () => {
      for (let count = 0; count < 50; count += 1) {
        await context.raise(full('A'))
        if (count % 7 === 0) await show()
      }
      await minute()
      const shown = await texts()
      expect(shown).toHaveLength(1)
      expect(shown[0]).toMatch(/Count\W+50\b/)
    })

    test('counts once for one cause, however often its work is repeated', async () => {
      for (let time = 0; time < 5; time += 1) await context.raise(full('A', 'the same outage'))
      await show()
      expect((await texts())[0]).not.toContain('Count')
    })

    test('becomes resolved in the same message, and a later one is a new message', async () => {
      await context.raise(full('A'))
      await show()
      const over = { rule: 'store-is-full', severity: 'error', subject: 'A', summary: 'over' } as const
      await context.raise(resolved(over))
      await show()
      expect(await texts()).toEqual([expect.stringMatching(/resolved/i)])
      await context.raise(full('A'))
      await show()
      expect(await texts()).toEqual([
        expect.stringMatching(/resolved/i),
        expect.not.stringMatching(/resolved/i),
      ])
    })

    test('is posted anew when a person has deleted its message', async () => {
      await context.raise(full('A'))
      await show()
      const [first] = await shift.visible()
      await shift.delete(first?.id ?? '')
      await context.raise(full('A'))
      await minute()
      const now = await shift.visible()
      expect(now).toHaveLength(1)
      expect(now[0]?.id).not.toBe(first?.id)
      expect(now[0]?.text).toMatch(/Count\W+2\b/)
    })

    test('of a flood of 1,000 of 200 subjects in a minute is visible, and the limits are kept', async () => {
      const limited = await openChannel({
        name: 'limited',
        now: clock.now,
        limit: { requests: 5, windowMs: 5000 },
      })
      const flooded = base.with([limited.channel])
      const rules = ['copy-missing', 'copy-suspicious', 'not-on-tape', 'recall-failed'] as const
      const subjects = Array.from({ length: 200 }, (_, index) => ({
        rule: rules[index % 4] ?? 'copy-missing',
        severity: 'error' as const,
        run: { id: null, tag: `TAG-${Math.floor(index / 4) % 5}`, runNumber: 1000 + index },
        summary: `something is wrong with run ${1000 + index}`,
      }))
      const twice = { withinMs: 10_000, wait: async (ms: number) => clock.advance(ms) }
      for (let round = 0; round < 5; round += 1) {
        await flooded.raise(...subjects.map((subject) => alert(subject)))
        await showAlerts(flooded, twice, signal, flooded.log)
      }
      const behind = () =>
        base.database.selectFrom('alertPosts').select('id').where('isBehind', '=', true).execute()
      while ((await behind()).length > 0) await minute(flooded)
      const all = (await texts(limited)).join('\n')
      const missing = subjects.filter(({ run }) => !all.includes(`run ${run.runNumber}`))
      expect(missing).toEqual([])
      expect(limited.early()).toBe(0)
      const episodes = await base.database.selectFrom('alerts').select('count').execute()
      expect(episodes).toHaveLength(200)
      expect(episodes.every(({ count }) => count === 5)).toBe(true)
    })

    test('survives an outage of an hour: it comes late, once, and other channels show that this one fails', async () => {
      const other = await openChannel({ name: 'other', now: clock.now })
      const both = base.with([shift.channel, other.channel])
      shift.setDown(true)
      for (let time = 0; time < 60; time += 1) {
        if (time < 10) await both.raise(full(`S${time}`))
        await minute(both)
      }
      expect(await texts()).toEqual([])
      const meanwhile = (await texts(other)).join('\n')
      expect(meanwhile).toContain(`channel:${shift.channel.name}`)
      expect(meanwhile).toContain('the store S9 is full')
      const attempts = await base.database.selectFrom('tasks').select('attempts').execute()
      expect(Math.max(...attempts.map((task) => task.attempts))).toBeLessThan(4)
      shift.setDown(false)
      for (let time = 0; time < 4; time += 1) await minute(both)
      const late = (await texts()).join('\n')
      for (let time = 0; time < 10; time += 1) expect(late).toContain(`S${time}`)
      expect(late).not.toContain('channel-fails')
      expect((await texts(other)).filter((text) => text.includes('channel-fails'))).toEqual([
        expect.stringMatching(/resolved/i),
      ])
    })

    test.each([
      ['at once', 0],
      ['an hour later', 60 * MINUTE],
    ])(
      'is one message although the function was killed after posting it, and the next comes %s',
      async (_, ms) => {
        const hanging: AlertChannel = {
          ...shift.channel,
          async post(...args) {
            await shift.channel.post(...args)
            return await new Promise<string>(() => {})
          },
        }
        await context.raise(full('A'))
        void show(base.with([hanging]))
        await until(async () => (await shift.visible()).length === 1)
        clock.advance(ms)
        await expireLeases()
        await show()
        await context.raise(full('A'))
        await minute()
        const shown = await texts()
        expect(shown).toHaveLength(1)
        expect(shown[0]).toMatch(/Count\W+2\b/)
      },
    )

    test('is one message although wake-ups are lost, doubled and late, and functions run at the same time', async () => {
      const subjects = Array.from({ length: 12 }, (_, index) => `S${index}`)
      const own = base.with([shift.channel], { digestOver: 100 })
      for (let round = 0; round < 3; round += 1) {
        await Promise.all(subjects.map((subject) => own.raise(full(subject))))
        if (round > 0) await Promise.all([show(own), show(own), show(own)])
      }
      await minute(own)
      const shown = await texts()
      expect(shown).toHaveLength(subjects.length)
      for (const text of shown) expect(text).toMatch(/Count\W+3\b/)
    })

    test('that continues after a stalled function was overtaken is still one message', async () => {
      await context.raise(full('A'))
      await foldAlerts(context)
      await requestPosts(context, shift.channel)
      const gate = Promise.withResolvers<void>()
      let isThere = false
      const stalling: AlertChannel = {
        ...shift.channel,
        async post(...args) {
          isThere = true
          await gate.promise
          return await shift.channel.post(...args)
        },
      }
      const options = {
        dependency: shift.channel.dependency,
        turn: { of: 'due', mostAtOnce: 4 },
        limitSeconds: 3600,
      } as const
      const late = advanceNext(base.with([stalling]), alertPost, options, signal, context.log)
      await until(() => isThere)
      await expireLeases()
      await show()
      gate.resolve()
      expect((await late)?.ending.kind).toBe('lost')
      expect(await texts()).toHaveLength(1)
    })
  })
}
