/** Runs a command in this process, with an API that it can use. */
import type { AddressInfo } from 'node:net'
import { createAdaptorServer } from '@hono/node-server'
import { Command } from 'commander'
import { vi } from 'vitest'

export interface Answer {
  readonly stdout: string
  readonly stderr: string
  readonly code: number | string
  /** The error that main.ts would print. */
  readonly error: string | null
}

interface CommandFile {
  register(program: Command): void
}

/** The environment remains set until `vi.unstubAllEnvs()`. */
export async function cygnet(
  commands: readonly CommandFile[],
  environment: Readonly<Record<string, string>>,
  ...args: readonly string[]
): Promise<Answer> {
  for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value)
  process.exitCode = undefined
  const written = { stdout: '', stderr: '' }
  for (const stream of ['stdout', 'stderr'] as const)
    vi.spyOn(process[stream], 'write').mockImplementation((text) => {
      written[stream] += String(text)
      return true
    })
  const program = new Command('cygnet').exitOverride()
  for (const command of commands) command.register(program)
  const inherit = (command: Command) => {
    command.exitOverride()
    for (const each of command.commands) inherit(each)
  }
  inherit(program)
  try {
    await program.parseAsync([...args], { from: 'user' })
    return { ...written, code: process.exitCode ?? 0, error: null }
  } catch (error) {
    return { ...written, code: 1, error: error instanceof Error ? error.message : String(error) }
  } finally {
    vi.restoreAllMocks()
    process.exitCode = undefined
  }
}

type App = Parameters<typeof createAdaptorServer>[0]

export async function serve(app: App): Promise<{ readonly url: string; close(): Promise<void> }> {
  const server = createAdaptorServer(app)
  // Connections stay open until the client ends them, so that none is closed at the moment in which it is
  // reused.
  if ('keepAliveTimeout' in server) server.keepAliveTimeout = 0
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        if ('closeAllConnections' in server) server.closeAllConnections()
      }),
  }
}
