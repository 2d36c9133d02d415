/**
 * The queue pump: runs a queue function without Lambda, by long-polling its SQS queue.
 *
 * Every message is a call of its own and is acknowledged as soon as it is processed, so that a small run
 * never waits for a large one received with it. While all of them fail, fewer are received. A message that fails is delivered again after a back-off that
 * doubles with each delivery, until the queue dead-letters it; one whose host dies is delivered again when
 * its visibility timeout ends.
 */
import { type Message, ReceiveMessageCommand, type SQSClient } from '@aws-sdk/client-sqs'
import type { Logger } from '../log.ts'
import { backOffMs } from '../time/back-off.ts'
import { runWithin } from '../time/limits.ts'
import { pause } from '../time/pause.ts'
import type { QueueHandler } from './handler.ts'
import { createAcknowledger } from './sqs-acknowledge.ts'
import { type ReceivedMessage, receivedMessage } from './sqs-messages.ts'

export interface PumpOptions {
  readonly sqs: SQSClient
  readonly queueUrl: string
  readonly handler: QueueHandler
  readonly log: Logger
  /** Ends the pump: it stops receiving, and finishes the messages it has within the grace period. */
  readonly signal: AbortSignal
  /** Messages processed at the same time. */
  readonly concurrency?: number
  /** Receive calls at the same time. */
  readonly pollers?: number
  /** Longest time for one message; then its signal aborts and it counts as failed. The manifest's timeout. */
  readonly timeoutSeconds?: number
  /** The visibility timeout of a message; renewed after every third of it while the handler works. */
  readonly visibilitySeconds?: number
  /** Longest wait of one receive call for a message, 1 to 20 s; stopping may take as long. */
  readonly waitSeconds?: number
  /** Delay before the second delivery of a message that failed; doubles from there. */
  readonly retrySeconds?: number
  readonly maxRetrySeconds?: number
  /** How long messages in progress may continue after the signal aborts, before their own signal does. */
  readonly graceSeconds?: number
  /** In [0, 1): jitter of the delays. */
  readonly random?: () => number
}

export interface PumpSummary {
  readonly received: number
  readonly succeeded: number
  readonly failed: number
}

const MAX_RECEIVE = 10

/** A receive call that takes this much longer than its wait has lost its connection. */
const RECEIVE_MARGIN_SECONDS = 10

/** After so many failures in a row, what all messages need is probably down. */
const FAILURES_IN_A_ROW = 5
/** Delays between receive calls while all messages fail: short, since the first success ends them. */
const ALL_FAIL = { firstMs: 100, maxMs: 5_000 }

/** Delays between receive calls while the queue does not answer. */
const OUTAGE = { firstMs: 200, maxMs: 30_000 }

/**
 * Pumps until the signal aborts and the messages in progress have ended. Never throws because of the queue or
 * the handler.
 * @returns how many deliveries there were, and how they ended.
 */
export async function pumpQueue(options: PumpOptions): Promise<PumpSummary> {
  const { sqs, queueUrl, log, signal, visibilitySeconds = 60 } = options
  const concurrency = Math.max(1, options.concurrency ?? 10)
  const pollers = Math.min(Math.max(1, options.pollers ?? 2), concurrency)
  const region = await sqs.config.region()
  const acknowledger = createAcknowledger({ sqs, queueUrl, log })
  const inProgress = new Map<Promise<void>, ReceivedMessage>()
  const stop = new AbortController()
  const counts = { received: 0, succeeded: 0, failed: 0 }
  let failuresInARow = 0

  const start = (message: ReceivedMessage): Promise<void> => {
    counts.received++
    const work = runMessage(message, options, stop.signal).then((succeeded) => {
      // Removed before the queue is informed, so that no heartbeat hides the message again.
      inProgress.delete(work)
      counts[succeeded ? 'succeeded' : 'failed']++
      failuresInARow = succeeded ? 0 : failuresInARow + 1
      if (succeeded) acknowledger.done(message)
      else void acknowledger.retry(message, stop.signal.aborted ? 0 : retrySeconds(message, options))
    })
    inProgress.set(work, message)
    return work
  }

  log.info({ queueUrl, concurrency, pollers }, 'pump-started')
  const beat = () => void acknowledger.extend([...inProgress.values()], visibilitySeconds)
  const heartbeat = setInterval(beat, (visibilitySeconds * 1000) / 3)
  const share = (poller: number) =>
    Math.floor(concurrency / pollers) + (poller < concurrency % pollers ? 1 : 0)
  const take = async (received: Message) => {
    const message = receivedMessage(received, queueUrl, region)
    // Received with the last call, after the signal: returned to the queue at once.
    await (signal.aborted ? acknowledger.retry(message, 0) : start(message))
  }
  const rest = async () => {
    const failures = failuresInARow - FAILURES_IN_A_ROW
    if (failures >= 0) await pause(backOffMs(failures + 1, { ...ALL_FAIL, random: Math.random }), signal)
  }
  let grace: NodeJS.Timeout | undefined
  signal.addEventListener('abort', () => {
    grace = setTimeout(() => stop.abort(), (options.graceSeconds ?? 25) * 1000)
  })
  await Promise.all(Array.from({ length: pollers }, (_, poller) => poll(options, share(poller), rest, take)))
  await Promise.all(inProgress.keys())
  clearTimeout(grace)
  clearInterval(heartbeat)
  await acknowledger.flush()
  log.info({ queueUrl, ...counts }, 'pump-stopped')
  return counts
}

/**
 * Receives until the signal aborts, after a rest while all messages fail; requests each time as many messages as can be started. A receive call in
 * progress is never aborted: the queue may just have answered it, and the messages would stay hidden without
 * being processed.
 */
async function poll(
  options: PumpOptions,
  hands: number,
  rest: () => Promise<void>,
  take: (message: Message) => Promise<void>,
): Promise<void> {
  const {
    sqs,
    queueUrl,
    log,
    signal,
    visibilitySeconds = 60,
    waitSeconds = 2,
    random = Math.random,
  } = options
  let busy = 0
  let outages = 0
  let wake = () => {}
  const onAbort = () => wake()
  signal.addEventListener('abort', onAbort)
  while (!signal.aborted) {
    if (busy >= hands) {
      await new Promise<void>((resolve) => {
        wake = resolve
      })
      continue
    }
    await rest()
    if (signal.aborted) break
    const command = new ReceiveMessageCommand({
      QueueUrl: queueUrl,
      MaxNumberOfMessages: Math.min(MAX_RECEIVE, hands - busy),
      WaitTimeSeconds: waitSeconds,
      VisibilityTimeout: visibilitySeconds,
      MessageSystemAttributeNames: ['All'],
      MessageAttributeNames: ['All'],
    })
    try {
      const { Messages = [] } = await sqs.send(command, {
        abortSignal: AbortSignal.timeout((waitSeconds + RECEIVE_MARGIN_SECONDS) * 1000),
      })
      if (outages > 0) log.info({ queueUrl, outages }, 'queue-answers-again')
      outages = 0
      for (const message of Messages) {
        busy++
        void take(message).then(() => {
          busy--
          wake()
        })
      }
    } catch (error) {
      const delayMs = backOffMs(++outages, { ...OUTAGE, random })
      log.error({ error, queueUrl, outages, ms: Math.round(delayMs) }, 'queue-does-not-answer')
      await pause(delayMs, signal)
    }
  }
  signal.removeEventListener('abort', onAbort)
}

/** Calls the handler with one message. True when it succeeded; errors are logged here. */
async function runMessage(
  message: ReceivedMessage,
  options: PumpOptions,
  stop: AbortSignal,
): Promise<boolean> {
  const log = options.log.child({ message: message.messageId, attempt: message.attempt })
  const began = performance.now()
  try {
    const limits = { timeoutSeconds: options.timeoutSeconds ?? 900, stop }
    const answer = await runWithin(
      (signal) => options.handler({ Records: [message.record] }, { signal, log }),
      limits,
    )
    if (answer.batchItemFailures.length === 0) return true
    log.warn({ ms: Math.round(performance.now() - began) }, 'message-not-finished')
  } catch (error) {
    log.error({ error, ms: Math.round(performance.now() - began) }, 'message-failed')
  }
  return false
}

function retrySeconds(message: ReceivedMessage, options: PumpOptions): number {
  const { retrySeconds = 2, maxRetrySeconds = 900, random = Math.random } = options
  return Math.round(
    backOffMs(message.attempt, { firstMs: retrySeconds * 1000, maxMs: maxRetrySeconds * 1000, random }) /
      1000,
  )
}
