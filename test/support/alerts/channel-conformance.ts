/**
 * The conformance suite of channels: the promises of shared/alerts/channels/channel.ts. The test of a driver makes a
 * fixture and adds its own cases:
 *
 * @example
 * channelConformance('webhook', startWebhookFixture, { isSearchable: false })
 */
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { AlertChannel, ChannelMessage, MessageState } from '../../../shared/alerts/channels/channel.ts'
import { InvalidInputError, TransientError } from '../../../shared/errors.ts'
import { SEVERITIES } from '../../../shared/messages/alert-rules.ts'

/** What people see of a message. */
export interface Shown {
  readonly id: string
  /** All texts, as they are read. */
  readonly text: string
  /** Ids of persons and roles that were notified by it, once for each time. */
  readonly notified: readonly string[]
  readonly files: readonly { readonly name: string; readonly bytes: Uint8Array }[]
}

export interface ChannelFixture {
  readonly channel: AlertChannel
  /** Set as the credential of the channel: no error may contain it. */
  readonly secret: string
  /** Newest first. */
  shown(): readonly Shown[]
  /** A person deletes the message. */
  delete(id: string): void
  /** More time passes than the channel remembers a delivery id by itself. */
  forget(): void
  /** From now on until null. */
  setTrouble(trouble: Trouble | null): void
  close(): Promise<void>
}

export type Trouble =
  /** Busy or broken: 503. */
  | 'unavailable'
  /** The request does not arrive, or is carried out without an answer. */
  | 'request-lost'
  | 'answer-lost'
  | 'silent'
  /** For a second. */
  | 'rate-limited'
  | 'token-revoked'
  | 'channel-unknown'
  | 'message-refused'

export interface ChannelTraits {
  readonly isSearchable: boolean
}

const signal = new AbortController().signal
const FROM_THE_BEGINNING = new Date('2026-01-01')

/** The smallest PNG: one pixel. */
export const PICTURE = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==',
  'base64',
)

export const messageOf = (changes: Partial<ChannelMessage> = {}): ChannelMessage => ({
  deliveryId: '17.1',
  state: 'firing',
  severity: 'page',
  title: 'checksum of run 12345 of LNGS',
  text: 'The checksum is wrong. Keep the file of the DAQ.',
  fields: [{ name: 'count', value: '3' }],
  links: [{ label: 'the run', url: 'https://cygnet.example/runs/LNGS/12345' }],
  mentions: [],
  attachment: null,
  ...changes,
})

export function channelConformance(
  kind: string,
  makeFixture: () => Promise<ChannelFixture>,
  { isSearchable }: ChannelTraits,
): void {
  describe(`a ${kind} channel keeps the promises of every channel`, () => {
    let fixture: ChannelFixture
    let channel: AlertChannel
    beforeEach(async () => {
      fixture = await makeFixture()
      channel = fixture.channel
    })
    afterEach(() => fixture?.close())

    const failed = async (work: Promise<unknown>): Promise<Error> => {
      const error = await work.then(
        () => null,
        (thrown: unknown) => thrown,
      )
      if (!(error instanceof Error)) throw new Error('it did not fail')
      const { cause, stack, message } = error
      const details = 'details' in error ? JSON.stringify(error.details) : ''
      expect([message, stack, details, JSON.stringify(cause), String(cause)].join(' ')).not.toContain(
        fixture.secret,
      )
      return error
    }
    const onlyOne = (): Shown => {
      const [message, ...others] = fixture.shown()
      expect(others).toEqual([])
      if (message === undefined) throw new Error('no message is shown')
      return message
    }

    /** Many messages in a second may meet a limit. */
    const postInTime = async (message: ChannelMessage): Promise<string> => {
      try {
        return await channel.post(message, signal)
      } catch (error) {
        const { retryAfterMs } = error instanceof TransientError ? error.details : {}
        if (typeof retryAfterMs !== 'number') throw error
        await sleep(retryAfterMs)
        return await postInTime(message)
      }
    }

    it('a message is seen with its title, text, fields, links, times and delivery id', async () => {
      const since = new Date('2026-11-30T20:37:12Z')
      const fields = [
        { name: 'count', value: '3' },
        { name: 'since', value: since },
      ]
      const id = await channel.post(messageOf({ fields }), signal)
      const { text } = onlyOne()
      expect(onlyOne().id).toBe(id)
      for (const part of ['checksum of run 12345 of LNGS', 'Keep the file', 'count', '17.1', 'the run'])
        expect(text).toContain(part)
      expect(text).toContain('https://cygnet.example/runs/LNGS/12345')
      expect(text).toMatch(/2026-11-30.20:37/)
    })

    it('posts of one delivery id are one message, and it shows what the last one says', async () => {
      const id = await channel.post(messageOf(), signal)
      expect(await channel.post(messageOf({ text: 'It is worse now.' }), signal)).toBe(id)
      expect(onlyOne().text).toContain('It is worse now.')
    })

    it.each(['answer-lost', 'request-lost', 'unavailable'] as const)(
      'a post whose request ends with %s is temporary, and its repetition makes one message',
      async (trouble) => {
        fixture.setTrouble(trouble)
        expect(await failed(channel.post(messageOf(), signal))).toBeInstanceOf(TransientError)
        fixture.setTrouble(null)
        const id = await channel.post(messageOf(), signal)
        expect(onlyOne().id).toBe(id)
      },
    )

    it.runIf(isSearchable)('a message whose answer was lost is found long after', async () => {
      fixture.setTrouble('answer-lost')
      await failed(channel.post(messageOf(), signal))
      fixture.setTrouble(null)
      fixture.forget()
      const id = await channel.find('17.1', FROM_THE_BEGINNING, signal)
      expect(id).toBe(onlyOne().id)
      expect(await channel.find('17.10', FROM_THE_BEGINNING, signal)).toBeNull()
      expect(await channel.find('7.1', FROM_THE_BEGINNING, signal)).toBeNull()
    })

    it.runIf(!isSearchable)('it is never said that a message is there without a search', async () => {
      await channel.post(messageOf(), signal)
      expect(await channel.find('17.1', FROM_THE_BEGINNING, signal)).toBeNull()
    })

    it('an edit changes the message in place and notifies nobody', async () => {
      const mentions = [
        { kind: 'user', id: '1300000000000000021' },
        { kind: 'role', id: '1300000000000000022' },
      ] as const
      const id = await channel.post(messageOf({ mentions }), signal)
      expect(onlyOne().notified).toEqual(['1300000000000000021', '1300000000000000022'])
      const edited = messageOf({ mentions, state: 'resolved', text: 'It is over.' })
      expect(await channel.edit(id, edited, signal)).toBe('edited')
      expect(onlyOne().text).toContain('It is over.')
      expect(onlyOne().notified).toHaveLength(2)
    })

    it('two edits with different texts are both shown', async () => {
      const id = await channel.post(messageOf(), signal)
      for (const text of ['one', 'two', 'one']) {
        await channel.edit(id, messageOf({ text }), signal)
        expect(onlyOne().text).toContain(text)
      }
    })

    it('the edit of a message that a person deleted says so', async () => {
      const id = await channel.post(messageOf(), signal)
      fixture.delete(id)
      expect(await channel.edit(id, messageOf(), signal)).toBe('gone')
      expect(fixture.shown()).toEqual([])
    })

    it('every state and severity is told in words', async () => {
      const states: readonly MessageState[] = [
        'firing',
        'acknowledged',
        'silenced',
        'resolved',
        'information',
      ]
      const seen = new Set<string>()
      for (const state of states)
        for (const severity of SEVERITIES) {
          const id = await postInTime(messageOf({ deliveryId: `${state}.${severity}`, state, severity }))
          const text = fixture.shown().find((one) => one.id === id)?.text ?? ''
          seen.add(text.replace(`${state}.${severity}`, ''))
          if (state !== 'firing' && state !== 'information') expect(text.toLowerCase()).toContain(state)
        }
      expect(seen.size).toBeGreaterThanOrEqual(16)
    })

    it('a picture goes through byte for byte, and stays through an edit', async () => {
      const attachment = { name: 'event 7 <camera>.png', contentType: 'image/png', bytes: PICTURE }
      const id = await channel.post(messageOf({ attachment }), signal)
      await channel.edit(id, messageOf({ attachment, text: 'edited' }), signal)
      const [file, ...others] = onlyOne().files
      expect(others).toEqual([])
      expect(file?.name).toMatch(/\.png$/)
      expect(Buffer.from(file?.bytes ?? []).equals(PICTURE)).toBe(true)
    })

    it('a limit of the service is stated with the time to wait, after which the post succeeds', async () => {
      fixture.setTrouble('rate-limited')
      const error = (await failed(channel.post(messageOf(), signal))) as TransientError
      expect(error).toBeInstanceOf(TransientError)
      const { retryAfterMs, operator } = error.details
      expect(operator).toBeUndefined()
      expect(Number(retryAfterMs)).toBeGreaterThan(0)
      fixture.setTrouble(null)
      await sleep(Number(retryAfterMs))
      await channel.post(messageOf(), signal)
      onlyOne()
    })

    it('a service that does not answer is not waited for longer than the caller wants', async () => {
      fixture.setTrouble('silent')
      const stop = new AbortController()
      const post = channel.post(messageOf(), stop.signal)
      setTimeout(() => stop.abort(), 50)
      expect(await failed(post)).toBeInstanceOf(TransientError)
    })

    it('a service that does not answer is given up by itself', async () => {
      fixture.setTrouble('silent')
      expect(await failed(channel.post(messageOf(), signal))).toBeInstanceOf(TransientError)
    })

    it.each(['token-revoked', 'channel-unknown'] as const)(
      'with %s the setting is named, and the post succeeds once that is mended',
      async (trouble) => {
        const id = await channel.post(messageOf(), signal)
        fixture.setTrouble(trouble)
        for (const work of [
          () => channel.post(messageOf({ deliveryId: '18.1' }), signal),
          () => channel.edit(id, messageOf({ text: 'y' }), signal),
        ]) {
          const error = (await failed(work())) as TransientError
          expect(error).toBeInstanceOf(TransientError)
          expect(error.details.operator).toBe(true)
          expect(error.message).toMatch(/CYGNET_[A-Z_]+/)
        }
        fixture.setTrouble(null)
        await channel.post(messageOf({ deliveryId: '18.1' }), signal)
        expect(fixture.shown()).toHaveLength(2)
      },
    )

    it('a message that the service does not accept is invalid, not temporary', async () => {
      fixture.setTrouble('message-refused')
      expect(await failed(channel.post(messageOf(), signal))).toBeInstanceOf(InvalidInputError)
    })

    it('texts of any length and kind are accepted, and notify nobody', async () => {
      const anyText = fc.oneof(
        fc.string({ unit: 'binary', maxLength: 300 }),
        fc.string({
          unit: fc.constantFrom('@everyone', '*', '`', '\\', '\n', ' ', '🚨', '\u202e', '\0'),
          maxLength: 9000,
        }),
        fc.constantFrom(
          '',
          ' ',
          '\u3164',
          '\ud800',
          'x'.repeat(20_000),
          '<@1300000000000000021>'.repeat(500),
        ),
      )
      const anyMessage = fc.record({
        title: anyText,
        text: anyText,
        fields: fc.array(fc.record({ name: anyText, value: anyText }), { maxLength: 40 }),
        links: fc.array(fc.record({ label: anyText, url: fc.oneof(fc.webUrl(), anyText) }), {
          maxLength: 12,
        }),
      })
      let number = 0
      await fc.assert(
        fc.asyncProperty(anyMessage, async (texts) => {
          number += 1
          const id = await postInTime(messageOf({ ...texts, deliveryId: `any.${number}` }))
          expect(fixture.shown().find((one) => one.id === id)?.notified).toEqual([])
        }),
        { numRuns: 60 },
      )
    })
  })
}
