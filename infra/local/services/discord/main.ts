/**
 * The process of the stand-in for Discord. Its argument is the path of a settings file (mode 0600), since arguments
 * are visible to other users.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createLogger } from '../../../../shared/log.ts'
import { endWithStarter } from '../../lifeline.ts'
import { writePrivateFile } from '../../secrets.ts'
import type { Message } from './messages.ts'
import { serveDiscord } from './server.ts'
import { startSchema } from './settings.ts'

const [path] = process.argv.slice(2)
if (path === undefined) throw new Error('usage: main.ts SETTINGS-FILE')
const { folder, ...settings } = startSchema.parse(JSON.parse(readFileSync(path, 'utf8')))
const log = createLogger({ function: 'discord', level: 'info' })

const file = join(folder, 'messages.json')
const TIMES = ['postedAt', 'editedAt']
const toJson = (messages: readonly Message[]) =>
  JSON.stringify(messages, (_, value) =>
    value instanceof Uint8Array ? { base64: Buffer.from(value).toString('base64') } : value,
  )
const fromJson = (text: string): readonly Message[] =>
  JSON.parse(text, (name, value) => {
    if (typeof value?.base64 === 'string') return Buffer.from(value.base64, 'base64')
    return TIMES.includes(name) && value !== null ? new Date(value) : value
  })

function storedMessages(): readonly Message[] {
  try {
    return fromJson(readFileSync(file, 'utf8'))
  } catch {
    return [] // the first start
  }
}

const server = await serveDiscord({
  ...settings,
  log,
  stored: storedMessages(),
  onChange: (messages) => writePrivateFile(file, toJson(messages)),
})
log.info({ page: server.origin }, 'discord-started')

const stop = () => void server.close().then(() => process.exit(0))
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, stop)
endWithStarter(stop)
