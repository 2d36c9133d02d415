/**
 * The process of the embedded IAM. Its argument is the path of a settings file (mode 0600), since arguments are
 * visible to other users. oidc-provider answers all requests except those of the sign-in form, which is here.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createLogger } from '../../../../shared/log.ts'
import { endWithStarter } from '../../lifeline.ts'
import { KEEP_IDLE_CONNECTIONS, LOOPBACK } from '../../ports.ts'
import { loginPage, PAGE_POLICY, page, STYLE, STYLE_PATH } from './pages.ts'
import { createProvider } from './provider.ts'
import { startSchema } from './settings.ts'

const LARGEST_FORM_BYTES = 4096

const [path] = process.argv.slice(2)
if (path === undefined) throw new Error('usage: main.ts SETTINGS-FILE')
const settingsNow = () => startSchema.parse(JSON.parse(readFileSync(path, 'utf8')))
const settings = settingsNow()
const log = createLogger({ function: 'iam', level: 'info' })
// Read each time: groups change while the IAM runs.
const provider = createProvider(settings, () => settingsNow().users)
provider.on('server_error', (_, error) => log.error({ error }, 'iam-request-failed'))
const oidcRequests = provider.callback()

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  response.setHeader('content-security-policy', PAGE_POLICY)
  response.setHeader('x-content-type-options', 'nosniff')
  response.setHeader('referrer-policy', 'same-origin')
  const [place = ''] = (request.url ?? '').split('?')
  if (place === STYLE_PATH) {
    response.setHeader('content-type', 'text/css')
    response.end(STYLE)
  } else if (place.startsWith('/interaction/')) await signIn(request, response, place)
  else await oidcRequests(request, response)
}

async function signIn(request: IncomingMessage, response: ServerResponse, place: string): Promise<void> {
  // Throws if the browser has no cookie of this sign-in.
  const { uid, prompt } = await provider.interactionDetails(request, response)
  if (place !== `/interaction/${uid}`)
    return show(
      response,
      400,
      page('Sign in', '<p>Go back to the page that you came from, and sign in again.</p>'),
    )
  // Both clients are ours: users need not consent.
  if (prompt.name === 'consent') return await provider.interactionFinished(request, response, { consent: {} })
  const names = settings.users.map(({ name }) => name)
  if (request.method !== 'POST') return show(response, 200, loginPage(place, names, false))
  const form = await readForm(request)
  const user = settings.users.find(({ name }) => name === form.get('name'))
  if (user === undefined || !isSame(user.password, form.get('password') ?? ''))
    return show(response, 401, loginPage(place, names, true))
  await provider.interactionFinished(
    request,
    response,
    { login: { accountId: user.name } },
    { mergeWithLastSubmission: false },
  )
}

function show(response: ServerResponse, status: number, html: string): void {
  response
    .writeHead(status, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' })
    .end(html)
}

async function readForm(request: IncomingMessage): Promise<URLSearchParams> {
  const chunks: Buffer[] = []
  let sizeBytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length
    if (sizeBytes > LARGEST_FORM_BYTES) throw new Error('the form is too large')
    chunks.push(chunk)
  }
  return new URLSearchParams(Buffer.concat(chunks).toString('utf8'))
}

function isSame(expected: string, given: string): boolean {
  const hash = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(hash(expected), hash(given))
}

const server = createServer((request, response) => {
  answer(request, response).catch((error: unknown) => {
    log.warn({ error }, 'iam-request-refused')
    if (response.headersSent) response.destroy()
    else
      show(
        response,
        400,
        page('This did not work', '<p>Go back to the page that you came from, and sign in again.</p>'),
      )
  })
}).listen(settings.port, LOOPBACK)
server.keepAliveTimeout = KEEP_IDLE_CONNECTIONS
await once(server, 'listening')
log.info({ port: settings.port }, 'iam-started')

const stop = () => {
  server.close(() => process.exit(0))
  server.closeAllConnections()
}
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, stop)
endWithStarter(stop)
