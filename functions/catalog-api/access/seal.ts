/**
 * Claims with an expiry that only this service can read and create, for cookies: encrypted JWTs (RFC 7516,
 * `dir` with A256GCM).
 */
import { hkdfSync } from 'node:crypto'
import { EncryptJWT, errors, type JWTPayload, jwtDecrypt } from 'jose'

export interface Seal {
  seal(claims: JWTPayload, seconds: number): Promise<string>
  /** Null for an invalid or expired text. */
  open(sealed: string): Promise<JWTPayload | null>
}

/** A key for one purpose (RFC 5869): a text sealed for one purpose cannot be opened for another. */
export const keyFor = (secret: string, purpose: string): Uint8Array =>
  new Uint8Array(hkdfSync('sha256', secret, '', `cygnet ${purpose}`, 32))

export function createSeal(secret: string, purpose: string, now: () => Date): Seal {
  const key = keyFor(secret, purpose)
  return {
    seal: (claims, seconds) =>
      new EncryptJWT(claims)
        .setProtectedHeader({ alg: 'dir', enc: 'A256GCM' })
        .setIssuedAt(now())
        .setExpirationTime(new Date(now().getTime() + seconds * 1000))
        .encrypt(key),
    async open(sealed) {
      try {
        const options = {
          currentDate: now(),
          requiredClaims: ['exp'],
          keyManagementAlgorithms: ['dir'],
          contentEncryptionAlgorithms: ['A256GCM'],
        }
        return (await jwtDecrypt(sealed, key, options)).payload
      } catch (error) {
        if (error instanceof errors.JOSEError) return null
        throw error
      }
    },
  }
}
