/**
 * A place where people see messages: Discord, a webhook. One driver per file, one conformance suite
 * (test/support/alerts/channel-conformance.ts). A message is posted once and edited in place; what it shows is made
 * from rows, so that it can be made again at any time.
 */
import type { Severity } from '../../messages/alert-rules.ts'

/** How a message is coloured and headed. */
export type MessageState = 'firing' | 'acknowledged' | 'silenced' | 'resolved' | 'information'

/** What a person sees, whatever the channel. Texts are plain: a driver escapes its own markup. */
export interface ChannelMessage {
  /** Unique and deterministic: post and number. Visible in the message, so that it is found again. */
  readonly deliveryId: string
  readonly state: MessageState
  readonly severity: Severity
  readonly title: string
  /** One or two sentences: what, and what to do. */
  readonly text: string
  /** A time is shown as the channel shows times, and in UTC. */
  readonly fields: readonly { readonly name: string; readonly value: string | Date }[]
  readonly links: readonly { readonly label: string; readonly url: string }[]
  /** Persons and roles to be notified, by the channel's own ids. Only a post notifies, an edit never. */
  readonly mentions: readonly { readonly kind: 'user' | 'role'; readonly id: string }[]
  /** Sent with the post; an edit keeps it. */
  readonly attachment: {
    readonly name: string
    readonly contentType: string
    readonly bytes: Uint8Array
  } | null
}

export interface AlertChannel {
  /** In the configuration. */
  readonly name: string
  /** Of the circuit breaker: its own for each channel, so that one with a wrong id stops no other. */
  readonly dependency: string
  /**
   * The id of the message with this delivery id, if one was posted since `since`; null where there is none, or where
   * the channel cannot be searched.
   */
  find(deliveryId: string, since: Date, signal: AbortSignal): Promise<string | null>
  /**
   * Posts once: a repetition with the same delivery id gives the first message where the channel can recognise it,
   * and it shows what the repetition says.
   * @returns its id.
   * @throws TransientError, with `details.retryAfterMs` where the service asks to wait: that is no failure. With
   * `details.operator` true a person must mend a setting, which the message names (a revoked token, an unknown
   * channel, a missing right): the post is kept and tried again, as in an outage.
   * @throws InvalidInputError when the channel does not accept this message, also not later.
   */
  post(message: ChannelMessage, signal: AbortSignal): Promise<string>
  /** `gone`: a person deleted the message. @throws as `post`. */
  edit(messageId: string, message: ChannelMessage, signal: AbortSignal): Promise<'edited' | 'gone'>
}
