/** Signs requests to the store with the service's own credentials (AWS Signature Version 4, in headers). */
import type { S3Client } from '@aws-sdk/client-s3'
import { SignatureV4 } from '@smithy/signature-v4'
import type { Config } from '../../../shared/config/config.ts'
import type { RequestToSign } from './allowed-request.ts'

export interface StoreAddress {
  /** Where clients reach the store; the bucket is part of the path. */
  readonly endpoint: string
  readonly region: string
  readonly host: string
  /** Path of the endpoint, without a trailing slash. */
  readonly basePath: string
}

export function storeAddress(config: Config): StoreAddress {
  const region = config.store.region
  const endpoint =
    config.store.publicEndpoint ?? config.store.endpoint ?? `https://s3.${region}.amazonaws.com`
  const { host, pathname } = new URL(endpoint)
  return { endpoint, region, host, basePath: pathname.replace(/\/+$/, '') }
}

/** Headers to add to the request: authorization, date, payload hash, possibly a session token. */
export type SignRequest = (request: RequestToSign, at: Date) => Promise<Readonly<Record<string, string>>>

/**
 * Headers that the holder of a signature could otherwise add to a PUT to change its meaning, because some
 * stores, unlike AWS, do not require all x-amz-* headers to be signed. They are signed with values that have
 * no effect, so that they cannot be set.
 * - x-amz-copy-source (MinIO, Ceph) copies any object over any other and ignores If-None-Match; with a
 *   condition on an ETag that no object has, it copies nothing. Ceph has another name for that condition.
 * - x-amz-meta-snowball-auto-extract (MinIO) unpacks the body, an archive, to keys of any tag. With `false`
 *   it is ordinary metadata.
 */
const PINNED: Readonly<Record<string, string>> = {
  'x-amz-copy-source-if-match': '"none"',
  'x-amz-copy-if-match': '"none"',
  'x-amz-meta-snowball-auto-extract': 'false',
}

/** A payload without a stated hash is not signed; Content-MD5, which is signed, protects the bytes. */
const PAYLOAD = 'x-amz-content-sha256'

export function createRequestSigner(s3: S3Client, address: StoreAddress): SignRequest {
  const { credentials, sha256 } = s3.config
  // S3 signs the path as sent, without a second encoding.
  const signer = new SignatureV4({
    service: 's3',
    region: address.region,
    credentials,
    sha256,
    uriEscapePath: false,
  })
  return async (request, at) => {
    const pinned = request.method === 'PUT' && s3.config.isCustomEndpoint === true ? PINNED : {}
    const headers = { [PAYLOAD]: 'UNSIGNED-PAYLOAD', ...request.headers, ...pinned, host: address.host }
    const toSign = {
      ...request,
      query: { ...request.query },
      headers,
      protocol: 'https:',
      hostname: address.host,
    }
    const signed = await signer.sign(toSign, { signingDate: at })
    return Object.fromEntries(
      Object.entries(signed.headers).filter(([name]) => !(name in request.headers) && name !== 'host'),
    )
  }
}
