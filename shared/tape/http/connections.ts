/** Connections of one driver to its endpoint, and the certificate authorities that they trust. */
import { readFileSync } from 'node:fs'
import { Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls'
import { InvalidInputError } from '../../errors.ts'

/** A pooled connection may have been used before; a fresh one is opened for the request. */
export type ConnectionKind = 'pooled' | 'fresh'

export interface Connections {
  /**
   * An idle pooled connection may be closed at any moment: a request that must not be sent twice needs a
   * fresh one.
   */
  agent(url: URL, way: ConnectionKind): HttpAgent
  close(): void
}

/** @throws InvalidInputError when the CA file cannot be read. */
export function openConnections(caFile: string | undefined): Connections {
  const tls = trusting(caFile)
  const agents = {
    'http:': { pooled: new HttpAgent({ keepAlive: true }), fresh: new HttpAgent() },
    'https:': { pooled: new HttpsAgent({ keepAlive: true, ...tls }), fresh: new HttpsAgent(tls) },
  }
  return {
    agent: (url, way) => agents[url.protocol === 'https:' ? 'https:' : 'http:'][way],
    close() {
      for (const { pooled, fresh } of Object.values(agents)) {
        pooled.destroy()
        fresh.destroy()
      }
    },
  }
}

/**
 * One context for all connections: parsing some hundred certificates for each would take longer than the
 * request.
 */
function trusting(caFile: string | undefined): { readonly secureContext?: SecureContext } {
  if (caFile === undefined) return {}
  try {
    return {
      secureContext: createSecureContext({
        ca: [...getCACertificates('default'), readFileSync(caFile, 'utf8')],
      }),
    }
  } catch (cause) {
    throw new InvalidInputError(`the file of certificate authorities ${caFile} cannot be read`, {}, { cause })
  }
}
