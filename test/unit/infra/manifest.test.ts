/** serverless.yml is the only manifest: it must agree with the tree and the code. */

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { parse, type ScalarTag } from 'yaml'
import { readManifest } from '../../../infra/local/manifest.ts'
import { QUEUES } from '../../../shared/queue/queues.ts'
import { parseSchedule } from '../../../shared/runtime/schedule.ts'

const PROJECT = fileURLToPath(new URL('../../..', import.meta.url))
const { functions, queues } = readManifest()

interface Queue {
  readonly Type: string
  readonly Properties: {
    readonly QueueName?: string
    readonly VisibilityTimeout?: number
    readonly MessageRetentionPeriod?: number
    readonly RedrivePolicy?: { readonly deadLetterTargetArn: string; readonly maxReceiveCount: number }
  }
}
interface Manifest {
  readonly functions: Readonly<Record<string, { readonly handler: string }>>
  readonly resources: { readonly Resources: Readonly<Record<string, Queue>> }
}
const tags: ScalarTag[] = ['!GetAtt', '!Ref', '!Sub'].map((tag) => ({ tag, resolve: (text: string) => text }))
const manifest = parse(readFileSync(`${PROJECT}serverless.yml`, 'utf8'), { customTags: tags }) as Manifest
const resources = manifest.resources.Resources

test('every folder of functions/ is a function of the manifest, and every function of the manifest has a folder', () => {
  expect(functions.map(({ name }) => name).toSorted()).toEqual(readdirSync(`${PROJECT}functions`).toSorted())
})

test.each(functions)('$name: the entry in the manifest exists, next to a handler', ({ name }) => {
  expect(manifest.functions[name]?.handler).toBe(`functions/${name}/lambda.handler`)
  expect(existsSync(`${PROJECT}functions/${name}/lambda.ts`)).toBe(true)
  expect(existsSync(`${PROJECT}functions/${name}/handler.ts`)).toBe(true)
})

test('the manifest declares the queues of the code', () => {
  expect(queues.map(({ name }) => name)).toEqual([...QUEUES])
})

test.each(QUEUES)(
  'a message of %s that fails again and again ends in a dead-letter queue that keeps it for 14 days',
  (name) => {
    const queue = Object.values(resources).find(({ Properties }) => Properties.QueueName === `cygnet-${name}`)
    const { deadLetterTargetArn = '' } = queue?.Properties.RedrivePolicy ?? {}
    const dead = resources[deadLetterTargetArn.replace(/[.]Arn$/, '')]
    expect(dead?.Properties.QueueName).toBe(`cygnet-${name}-dead`)
    expect(dead?.Properties.MessageRetentionPeriod).toBe(14 * 24 * 3600)
  },
)

test.each(functions)('$name: its trigger is one that can work', ({ trigger, timeoutSeconds }) => {
  switch (trigger.kind) {
    case 'queue': {
      // A message that becomes visible while its function is running would be processed twice.
      const queue = queues.find(({ name }) => name === trigger.queue)
      expect(queue?.visibilitySeconds).toBeGreaterThan(timeoutSeconds)
      expect(timeoutSeconds).toBeLessThanOrEqual(900)
      return
    }
    case 'schedule':
      expect(parseSchedule(trigger.expression)(new Date())).toBeInstanceOf(Date)
      expect(timeoutSeconds).toBeLessThanOrEqual(900)
      return
    case 'http':
      // API Gateway waits at most 30 s.
      expect(timeoutSeconds).toBeLessThan(30)
  }
})
