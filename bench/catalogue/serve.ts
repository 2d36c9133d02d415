/** catalog-api in a process of its own: prints its port. Settings are passed in the environment. */
import { createHandler, needs } from '../../functions/catalog-api/handler.ts'
import { loadConfig } from '../../shared/config/config.ts'
import { serveHttp } from '../../shared/runtime/http.ts'
import { openContext } from '../../shared/runtime/open-context.ts'

const context = await openContext(loadConfig(), 'catalog-api', needs)
const end = new AbortController()
process.on('SIGTERM', () => end.abort())
const host = await serveHttp({
  app: createHandler(context),
  log: context.log,
  signal: end.signal,
  hostname: '127.0.0.1',
  graceSeconds: 1,
})
process.stdout.write(`${host.port}\n`)
await host.closed
await context.close()
