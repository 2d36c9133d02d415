/** `cygnet notifications`: shows and sets the notification rules of a bucket. */
import { isDeepStrictEqual } from 'node:util'
import type { S3Client } from '@aws-sdk/client-s3'
import type { Command } from 'commander'
import type { Config } from '../../shared/config/config.ts'
import { classify } from '../../shared/errors.ts'
import type { NotificationRequest, NotificationRule } from '../../shared/storage/bucket-notifications.ts'
import { wholeNumber } from '../arguments.ts'
import { auditedCommand, auditedStoreCommand } from '../audited.ts'
import { print, printJson, printToStderr, table } from '../output.ts'
import { interruption, loadStoreSettings, withContext } from '../settings.ts'

interface ShowOptions {
  readonly bucket: string
  readonly json?: true
}

interface TestOptions extends ShowOptions {
  readonly seconds: number
}

interface ApplyOptions extends ShowOptions {
  readonly arn: string
  readonly prefix: readonly string[]
  readonly suffix: readonly string[]
  readonly yes?: true
}

const EXAMPLES = `
Examples:
  cygnet notifications apply --bucket cygno-data --arn arn:minio:sqs::CYGNET:webhook --yes
  cygnet notifications apply --bucket cygno-data --arn arn:aws:sqs:eu-south-1:123456789012:runs --prefix LNGS/ --yes
  cygnet notifications apply --bucket cygno-data --arn arn:aws:sns:default::cygnet --yes      (a topic of Ceph)`

export function register(program: Command): void {
  const notifications = program
    .command('notifications')
    .description('show, set or test where a bucket sends notifications of new objects')
  notifications
    .command('show')
    .description("list a bucket's notifications, and where a store such as Ceph really sends them")
    .requiredOption('--bucket <name>', 'the bucket')
    .option('--json', 'print one JSON object')
    .action(show)
  notifications
    .command('apply')
    .description(
      'make a bucket send notifications of new objects (Put, CompleteMultipartUpload, Copy) to a target, instead of our earlier rules; rules of others are kept. The rule for a topic is always put again, since Ceph copies the topic into it: repeat this after each change of the topic',
    )
    .requiredOption('--bucket <name>', 'the bucket')
    .requiredOption('--arn <arn>', 'the target: an SQS queue of AWS, a webhook of MinIO, a topic of Ceph')
    .option('--prefix <prefix>', 'only keys with this prefix; may be given several times', collect, [])
    .option('--suffix <suffix>', 'only keys with this suffix; may be given several times', collect, [])
    .option('--yes', 'do it; without it only the plan is shown')
    .option('--json', 'print one JSON object')
    .addHelpText('after', EXAMPLES)
    .action(apply)
  notifications
    .command('test')
    .description(
      'follow one notification of each of our rules: stores a small test object, waits until its notification was processed, states where it arrived or what to inspect, and deletes the object. Needs the database',
    )
    .requiredOption('--bucket <name>', 'the bucket')
    .option('--seconds <number>', 'how long to wait', wholeNumber(1, 3600), 60)
    .option('--json', 'print one JSON object')
    .action(test)
}

const collect = (value: string, values: readonly string[]) => [...values, value]

async function show({ bucket, json }: ShowOptions): Promise<void> {
  const { readBucketNotifications } = await import('../../shared/storage/bucket-notifications.ts')
  const { describeTarget } = await import('../../shared/storage/ceph.ts')
  await withS3(async (s3, signal, { ingest: { notificationToken } }) => {
    const rules = await readBucketNotifications(s3, bucket, signal)
    const notifications = []
    for (const rule of rules) {
      const target = await describeTarget(s3, rule, notificationToken, signal)
      notifications.push({ ...rule, endpoint: target?.endpoint ?? null, problem: target?.problem ?? null })
    }
    if (json) printJson({ bucket, notifications })
    else if (rules.length === 0) print(`bucket ${bucket} sends no notifications`)
    else print(rulesTable(notifications))
    for (const { id, problem } of notifications) if (problem !== null) printToStderr(`${id}: ${problem}`)
  })
}

async function apply({ bucket, arn, prefix, suffix, yes, json }: ApplyOptions): Promise<void> {
  const { applyBucketNotifications, planBucketNotifications } = await import(
    '../../shared/storage/bucket-notifications.ts'
  )
  const wanted: NotificationRequest = { bucket, arn, prefixes: prefix, suffixes: suffix }
  await withS3(async (s3, signal, config) => {
    const { changed, refreshed, before, after } = yes
      ? await auditedStoreCommand(config, 'operate', `notifications of ${bucket} to ${arn}`, () =>
          applyBucketNotifications(s3, wanted, signal),
        )
      : await planBucketNotifications(s3, wanted, signal)
    const isPut = changed || refreshed
    if (json) printJson({ bucket, changed, refreshed, applied: yes === true && isPut, before, after })
    else if (changed) print(difference(before, after))
    else
      print(
        `bucket ${bucket} already sends its notifications to ${arn}; ${refreshed ? 'put again, for the topic as it is now' : 'nothing to do'}`,
      )
    if (isPut && !yes) printToStderr('this is the plan; add --yes to apply it')
    else if (changed) printToStderr(`bucket ${bucket} now sends its notifications to ${arn}`)
  })
}

async function test({ bucket, seconds, json }: TestOptions): Promise<void> {
  const { followNotifications } = await import('../notifications/follow.ts')
  await withContext(['database', 's3'], async (context, signal) => {
    const followed = await auditedCommand(context, 'operate', `test of the notifications of ${bucket}`, () =>
      followNotifications(context, { bucket, seconds }, signal),
    )
    if (json) printJson({ bucket, notifications: followed })
    else
      for (const { rule, receivedSeconds, processedSeconds, advice } of followed) {
        const steps = [
          receivedSeconds === null
            ? []
            : [`received by receive-notification after ${receivedSeconds.toFixed(1)} s`],
          processedSeconds === null
            ? [`not processed within ${seconds} s`]
            : [`processed by extract-metadata after ${processedSeconds.toFixed(1)} s`],
        ].flat()
        print(`${rule.prefix}*${rule.suffix}: ${steps.join(', ')}`)
        if (advice !== null) printToStderr(advice)
      }
    if (followed.some(({ processedSeconds }) => processedSeconds === null)) process.exitCode = 1
  })
}

async function withS3(
  work: (s3: S3Client, signal: AbortSignal, config: Config) => Promise<void>,
): Promise<void> {
  const { createS3Client } = await import('../../shared/storage/client.ts')
  const config = await loadStoreSettings()
  const s3 = createS3Client(config)
  try {
    await work(s3, interruption(), config)
  } catch (error) {
    throw classify(error)
  } finally {
    s3.destroy()
  }
}

/** Removed rules are marked `-`, new rules `+`, the others with a blank. */
function difference(before: readonly NotificationRule[], after: readonly NotificationRule[]): string {
  const has = (rules: readonly NotificationRule[], rule: NotificationRule) =>
    rules.some((other) => isDeepStrictEqual(other, rule))
  const removed = before.filter((rule) => !has(after, rule)).map((rule) => row('-', rule))
  const remaining = after.map((rule) => row(has(before, rule) ? ' ' : '+', rule))
  return table(['', ...HEADER], [...removed, ...remaining])
}

const HEADER = ['id', 'target', 'events', 'prefix', 'suffix']

const rulesTable = (rules: readonly (NotificationRule & { readonly endpoint: string | null })[]) =>
  table(
    [...HEADER, 'sent to'],
    rules.map((rule) => [...row('', rule).slice(1), rule.endpoint]),
  )

const row = (mark: string, { id, arn, events, prefix, suffix }: NotificationRule) => [
  mark,
  id,
  arn,
  events.map((event) => event.replace('s3:', '')).join(' '),
  prefix === '' ? null : prefix,
  suffix === '' ? null : suffix,
]
