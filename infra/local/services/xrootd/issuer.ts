/**
 * An issuer of bearer tokens for the private XRootD: JSON Web Tokens in the WLCG profile, signed with a private key.
 * The server's token library normally fetches the public key over HTTPS from the issuer; here it finds the key in
 * its cache, so no issuer has to run.
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
   * Writes the public key into the cache of the token library of a server with this XDG_CACHE_HOME.
   */
  writeKeyCache(cacheFolder: string): Promise<void>
}

const NAME = 'https://cygnet.invalid/issuer'
const AUDIENCE = 'https://wlcg.cern.ch/jwt/v1/any'
const SCOPES = 'storage.read:/ storage.modify:/ storage.create:/ storage.stage:/'
const KEY_ID = 'cygnet'
const CACHED_SECONDS = 10 * 365 * 86_400
/** Backdated, so that rounding to seconds never gives a token of the future. */
const BACKDATED_SECONDS = 5

/** @param keyFile the private key (PEM, mode 0600); created if it is missing. */
export function openIssuer(keyFile: string): Issuer {
  const key = createPrivateKey(storedKey(keyFile))
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
      // Name and table are those of scitokens-cpp (src/scitokens_cache.cpp), including the spelling.
      const database = new DatabaseSync(join(folder, 'scitokens_cpp.sqllite'))
      const publicKey = createPublicKey(key).export({ format: 'jwk' })
      const jwks = { keys: [{ ...publicKey, kid: KEY_ID, alg: 'ES256', use: 'sig' }] }
      const entry = { expires: now() + CACHED_SECONDS, next_update: now() + CACHED_SECONDS, jwks }
      database.exec(
        'CREATE TABLE IF NOT EXISTS keycache (issuer text UNIQUE PRIMARY KEY NOT NULL, keys text NOT NULL)',
      )
      database.prepare('INSERT OR REPLACE INTO keycache VALUES (?, ?)').run(NAME, JSON.stringify(entry))
      database.close()
    },
  }
}

function storedKey(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
    writePrivateFile(file, pem)
    return pem
  }
}
