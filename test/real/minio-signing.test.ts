/**
 * The limits of a signed PUT on a real MinIO, which does not require that all x-amz-* headers are signed.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createRequestSigner, storeAddress } from '../../functions/catalog-api/access/sign-request.ts'
import { setUp } from '../../infra/local/setup.ts'
import { temporaryFolder } from '../../infra/local/testing.ts'
import { startTestStack, type TestStack } from '../support/stack.ts'

const [OWN, OTHER] = ['LNGS/run00001.mid', 'LNF/run00001.mid']
let stack: TestStack
beforeAll(async () => {
  await setUp({ extras: ['minio'] })
  stack = await startTestStack({ extras: ['minio'] })
  for (const Key of [OWN, OTHER])
    await stack.context.s3.send(new PutObjectCommand({ Bucket: stack.bucket, Key, Body: Key }))
})
afterAll(() => stack.close())

const contents = async (Key: string) =>
  await (
    await stack.context.s3.send(new GetObjectCommand({ Bucket: stack.bucket, Key }))
  ).Body?.transformToString()

/** Sends a request that the API signed for a new run, with additional unsigned headers. */
async function put(key: string, added: Record<string, string>, body: Buffer): Promise<number> {
  const { s3, config } = stack.context
  const address = storeAddress(config)
  const request = {
    method: 'PUT',
    path: `/${stack.bucket}/${key}`,
    query: {},
    headers: { 'if-none-match': '*' },
  }
  const headers = {
    ...(await createRequestSigner(s3, address)(request, new Date())),
    ...request.headers,
    ...added,
  }
  return (
    await fetch(`${address.endpoint}${request.path}`, { method: 'PUT', headers, body: Uint8Array.from(body) })
  ).status
}

test('a new run is stored, and an existing object is kept', async () => {
  expect(await put('LNGS/run00002.mid', {}, Buffer.from('a run'))).toBe(200)
  expect(await contents('LNGS/run00002.mid')).toBe('a run')
  expect(await put(OWN, {}, Buffer.from('another'))).toBe(412)
})

test('no object is copied over another one, nor to a new key', async () => {
  const source = { 'x-amz-copy-source': `/${stack.bucket}/${OTHER}` }
  expect(await put(OWN, source, Buffer.alloc(0))).toBe(412)
  expect(await contents(OWN)).toBe(OWN)
  expect(await put('LNGS/run00003.mid', source, Buffer.alloc(0))).toBe(412)
  expect(await put(OWN, { ...source, 'x-amz-copy-source-if-match': '*' }, Buffer.alloc(0))).toBe(403)
})

test('no archive is unpacked over the runs of other tags', async () => {
  const folder = join(temporaryFolder(), 'archive')
  mkdirSync(join(folder, 'LNF'), { recursive: true })
  writeFileSync(join(folder, OTHER), 'planted')
  const archive = execFileSync('tar', ['-C', folder, '-cf', '-', OTHER])
  expect(await put('LNGS/run00004.mid', { 'x-amz-meta-snowball-auto-extract': 'true' }, archive)).toBe(403)
  expect(await contents(OTHER)).toBe(OTHER)
})
