/** Connections of one driver to its endpoint, and whom they trust. */
import { readFileSync } from 'node:fs'
import { Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls'
import { InvalidInputError } from '../../errors.ts'

/**
 * How a request reaches its endpoint: over a connection that may have been used before, or over one of its
 * own.
 */
export type ConnectionKind = 'pooled' | 'fresh'

export interface Connections {
  /**
   * An idle connection of the pool may be closed at any moment: what must not be sent twice takes a fresh
   * one.
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
 * One context for all connections: reading some hundred certificates for each of them would take longer than
 * the request.
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
