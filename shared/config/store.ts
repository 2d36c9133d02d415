/** The object store. */
import * as z from 'zod'
import { fullList, list, positive, setting, text } from './setting.ts'

export const store = {
  endpoint: setting('CYGNET_S3_ENDPOINT', z.url().optional(), 'S3 endpoint; absent: AWS'),
  region: setting('CYGNET_S3_REGION', text.default('us-east-1'), 'S3 region'),
  accessKeyId: setting(
    'CYGNET_S3_ACCESS_KEY_ID',
    text.optional(),
    'S3 access key; absent: the AWS default chain (role, profile, environment)',
  ),
  secretAccessKey: setting('CYGNET_S3_SECRET_ACCESS_KEY', text.optional(), 'S3 secret key', true),
  sdkChecksums: setting(
    'CYGNET_S3_SDK_CHECKSUMS',
    z.enum(['WHEN_SUPPORTED', 'WHEN_REQUIRED']).default('WHEN_SUPPORTED'),
    "the SDK's default checksums; WHEN_REQUIRED for stores that refuse streamed trailers (Ceph before 18, the embedded S3)",
  ),
  publicEndpoint: setting(
    'CYGNET_S3_PUBLIC_ENDPOINT',
    z.url().optional(),
    'public S3 endpoint, used in links; absent: CYGNET_S3_ENDPOINT',
  ),
  rawBuckets: setting(
    'CYGNET_RAW_BUCKETS',
    fullList.default(['cygno-data']),
    'buckets whose runs are catalogued, separated by commas',
  ),
  ignoredPrefixes: setting(
    'CYGNET_IGNORED_PREFIXES',
    list.default(['EVENTS/', 'TMP/', 'BCK/']),
    'key prefixes that never contain runs; everything else named run*.mid* is catalogued',
  ),
  protectedPrefixes: setting(
    'CYGNET_PROTECTED_PREFIXES',
    fullList.default(['LAB/', 'RECO/', 'BCK/', 'pkl/']),
    'key prefixes under which nothing is ever deleted, whatever else is configured',
  ),
  linkSeconds: setting(
    'CYGNET_LINK_SECONDS',
    positive.default(3600),
    'longest validity of a link to an object',
  ),
} as const
