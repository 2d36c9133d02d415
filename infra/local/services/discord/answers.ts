/** Answers of Discord's API: https://docs.discord.com/developers/topics/opcodes-and-status-codes#json */
import type { ServerResponse } from 'node:http'

export interface Answer {
  readonly status: number
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
}

export const problem = (status: number, code: number, message: string): Answer => ({
  status,
  body: { message, code },
})
export const UNKNOWN_CHANNEL = problem(404, 10_003, 'Unknown Channel')
export const UNKNOWN_MESSAGE = problem(404, 10_008, 'Unknown Message')
export const MISSING_ACCESS = problem(403, 50_001, 'Missing Access')
export const MISSING_PERMISSIONS = problem(403, 50_013, 'Missing Permissions')
export const NOT_FOUND = problem(404, 0, '404: Not Found')
export const TOO_LARGE = problem(413, 40_005, 'Request entity too large')
export const invalidForm = (errors: unknown): Answer => ({
  status: 400,
  body: { message: 'Invalid Form Body', code: 50_035, errors },
})

export function send(response: ServerResponse, { status, body, headers = {} }: Answer): void {
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
  if (body === undefined) response.writeHead(status).end()
  else response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}
