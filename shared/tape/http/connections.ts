/** Connections of one driver to its endpoint, and whom they trust. */
import { readFileSync } from 'node:fs'
import { Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls'
import { InvalidInputError } from '../../errors.ts'

export interface Connections {
  /** A kept connection may be closed at any moment: what must not be asked twice gets one of its own. */
  agent(url: URL, kept: boolean): HttpAgent
  close(): void
}

/** @throws InvalidInputError when the CA file cannot be read. */
export function openConnections(caFile: string | undefined, keepAlive = true): Connections {
  const tls = trusting(caFile)
  const agents = {
    'http:': { kept: new HttpAgent({ keepAlive }), single: new HttpAgent() },
    'https:': { kept: new HttpsAgent({ keepAlive, ...tls }), single: new HttpsAgent(tls) },
  }
  return {
    agent: (url, kept) => agents[url.protocol === 'https:' ? 'https:' : 'http:'][kept ? 'kept' : 'single'],
    close() {
      for (const { kept, single } of Object.values(agents)) {
        kept.destroy()
        single.destroy()
      }
    },
  }
}

/** One context for all connections: reading some hundred certificates for each of them would take longer than the request. */
function trusting(caFile: string | undefined): { readonly secureContext?: SecureContext } {
  if (caFile === undefined) return {}
  try {
    return { secureContext: createSecureContext({ ca: [...getCACertificates('default'), readFileSync(caFile, 'utf8')] }) }
  } catch (cause) {
    throw new InvalidInputError(`the file of certificate authorities ${caFile} cannot be read`, {}, { cause })
  }
}
