/**
 * An issuer of bearer tokens for the private XRootD: JSON Web Tokens in the WLCG profile, signed with a key
 * of our own. The server's token library would fetch that key over HTTPS from the issuer; it finds it in its
 * cache instead, so nothing has to run.
 */
import { createPrivateKey, createPublicKey, generateKeyPairSync, randomUUID, sign } from 'node:crypto'
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { writePrivateFile } from '../../secrets.ts'

export interface Issuer {
  readonly name: string
  readonly audience: string
  token(lifetimeSeconds: number): string
  /**
   * Writes the key where the token library of a server with this XDG_CACHE_HOME keeps those it has fetched.
   */
  writeKeyCache(cacheFolder: string): Promise<void>
}

const NAME = 'https://cygnet.invalid/issuer'
const AUDIENCE = 'https://wlcg.cern.ch/jwt/v1/any'
const SCOPES = 'storage.read:/ storage.modify:/ storage.create:/ storage.stage:/'
const KEY_ID = 'cygnet'
const CACHED_SECONDS = 10 * 365 * 86_400
/** Clocks are the same here; a token is still not to be "from the future" by a rounded second. */
const BACKDATED_SECONDS = 5

/** @param keyFile the private key (PEM, mode 0600); made when it is not there. */
export function openIssuer(keyFile: string): Issuer {
  const key = createPrivateKey(keptKey(keyFile))
  const now = () => Math.floor(Date.now() / 1000)
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  return {
    name: NAME,
    audience: AUDIENCE,
    token(lifetimeSeconds) {
      const from = now() - BACKDATED_SECONDS
      const times = { nbf: from, iat: from, exp: now() + lifetimeSeconds }
      const claims = {
        'wlcg.ver': '1.0',
        iss: NAME,
        aud: AUDIENCE,
        sub: 'cygnet',
        jti: randomUUID(),
        scope: SCOPES,
        ...times,
      }
      const content = `${part({ alg: 'ES256', kid: KEY_ID, typ: 'JWT' })}.${part(claims)}`
      const signature = sign('sha256', Buffer.from(content), { key, dsaEncoding: 'ieee-p1363' })
      return `${content}.${signature.toString('base64url')}`
    },
    async writeKeyCache(cacheFolder) {
      const { DatabaseSync } = await import('node:sqlite')
      const folder = join(cacheFolder, 'scitokens')
      mkdirSync(folder, { recursive: true, mode: 0o700 })
      // Name and table as scitokens-cpp makes them (src/scitokens_cache.cpp), spelling included.
      const database = new DatabaseSync(join(folder, 'scitokens_cpp.sqllite'))
      const publicKey = createPublicKey(key).export({ format: 'jwk' })
      const jwks = { keys: [{ ...publicKey, kid: KEY_ID, alg: 'ES256', use: 'sig' }] }
      const kept = { expires: now() + CACHED_SECONDS, next_update: now() + CACHED_SECONDS, jwks }
      database.exec(
        'CREATE TABLE IF NOT EXISTS keycache (issuer text UNIQUE PRIMARY KEY NOT NULL, keys text NOT NULL)',
      )
      database.prepare('INSERT OR REPLACE INTO keycache VALUES (?, ?)').run(NAME, JSON.stringify(kept))
      database.close()
    },
  }
}

function keptKey(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
    writePrivateFile(file, pem)
    return pem
  }
}
