/**
 * The control address of the embedded services: reads the state, switches notifications, adds queues and buckets.
 */

import { timingSafeEqual } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import * as z from 'zod'
import { KEEP_IDLE_CONNECTIONS, LOOPBACK } from '../../ports.ts'
import { type Change, type Connection, changeSchema, type EmbeddedState, stateSchema } from './settings.ts'

const LARGEST_CHANGE_BYTES = 256 * 1024

/**
 * Listens on the port: GET returns the state, PATCH with a `Change` makes the change and returns the new state.
 */
export async function serveControl(options: {
  readonly port: number
  readonly token: string
  readonly state: () => EmbeddedState
  readonly change: (change: z.output<typeof changeSchema>) => Promise<void>
}): Promise<Server> {
  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    if (!authorised(request.headers.authorization, options.token))
      return reply(response, 401, { error: 'the token is missing or wrong' })
    if (request.method === 'GET') return reply(response, 200, options.state())
    if (request.method !== 'PATCH') return reply(response, 405, { error: 'GET or PATCH' })
    const change = changeSchema.safeParse(await readJson(request))
    if (!change.success) return reply(response, 400, { error: z.prettifyError(change.error) })
    await options.change(change.data)
    return reply(response, 200, options.state())
  }
  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => reply(response, 500, { error: String(error) }))
  }).listen(options.port, LOOPBACK)
  server.keepAliveTimeout = KEEP_IDLE_CONNECTIONS
  await once(server, 'listening')
  return server
}

function authorised(header: string | undefined, token: string): boolean {
  const [given, expected] = [Buffer.from(header ?? ''), Buffer.from(`Bearer ${token}`)]
  return given.length === expected.length && timingSafeEqual(given, expected)
}

function reply(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  let sizeBytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length
    if (sizeBytes > LARGEST_CHANGE_BYTES) throw new Error('the change is too large')
    chunks.push(chunk)
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'))
  } catch {
    return undefined
  }
}

/**
 * Reads the state of the running services, or changes it; from any process that can read `connection.json`.
 */
export async function controlEmbedded(
  control: Connection['control'],
  options: { readonly change?: Change; readonly signal?: AbortSignal | undefined } = {},
): Promise<EmbeddedState> {
  const response = await fetch(control.endpoint, {
    method: options.change === undefined ? 'GET' : 'PATCH',
    headers: { authorization: `Bearer ${control.token}` },
    ...(options.change !== undefined && { body: JSON.stringify(options.change) }),
    signal: options.signal ?? AbortSignal.timeout(120_000),
  })
  if (!response.ok)
    throw new Error(`the embedded services answered ${response.status}: ${await response.text()}`)
  return stateSchema.parse(await response.json())
}
