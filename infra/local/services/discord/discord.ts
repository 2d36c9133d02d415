/**
 * The stand-in for Discord as a separate process, with a page that shows its channels. Messages stay in the folder.
 * docs/deploy/alert-channels.md describes the use of the real Discord.
 */
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePort, LOOPBACK } from '../../ports.ts'
import { type Service, serviceFolder, startProcess } from '../../process.ts'
import { storedSecret, writePrivateFile } from '../../secrets.ts'
import type { StartSettings } from './settings.ts'

export interface DiscordOptions {
  /** The folder of all services, normally `.cygnet`. */
  readonly dataFolder: string
  /** On 127.0.0.1; default: a free one. */
  readonly port?: number | undefined
  readonly signal?: AbortSignal | undefined
}

export interface Discord extends Service {
  /** Address of the page that shows the channels. */
  readonly page: string
  /** The CYGNET_* settings with which alerts are posted here. */
  readonly environment: Readonly<Record<string, string>>
}

const SHIFT = { name: 'shift', id: '1300000000000000011' }
const INFORMATION = { name: 'information', id: '1300000000000000012' }
const ALERTS = {
  channels: {
    shift: { type: 'discord', channelId: SHIFT.id },
    information: { type: 'discord', channelId: INFORMATION.id },
  },
  routes: [{ channels: ['shift'] }, { severities: ['info'], channels: ['information'] }],
}
const TOKEN_LENGTH = 40
const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url))

/**
 * Starts the stand-in and waits until it answers (about 0.5 s).
 * @throws TransientError when it does not start; the message has the end of its log.
 */
export async function startDiscord(options: DiscordOptions): Promise<Discord> {
  const dataFolder = resolve(options.dataFolder)
  const folder = serviceFolder(dataFolder, 'discord')
  const port = options.port ?? (await freePort())
  const token = storedSecret(join(folder, 'token'), TOKEN_LENGTH)
  const settings: StartSettings = { folder, port, token, channels: [SHIFT, INFORMATION] }
  const settingsFile = join(folder, 'settings.json')
  writePrivateFile(settingsFile, JSON.stringify(settings))
  const page = `http://${LOOPBACK}:${port}`
  const service = await startProcess({
    name: 'discord',
    dataFolder,
    program: process.execPath,
    args: ['--disable-warning=ExperimentalWarning', MAIN, settingsFile],
    probe: async (signal) => (await fetch(page, { signal })).ok,
    signal: options.signal,
  })
  const environment = {
    CYGNET_ALERTS: JSON.stringify(ALERTS),
    CYGNET_DISCORD_TOKEN: token,
    CYGNET_DISCORD_API: `${page}/api`,
  }
  return { ...service, page, environment }
}
