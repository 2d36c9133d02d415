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
    z.enum(['WHEN_SUPPORTED', 'WHEN_REQUIRED']).optional(),
    'checksums that the SDK adds to uploads by itself; absent: WHEN_SUPPORTED for AWS, WHEN_REQUIRED for any other endpoint, since stores such as Ceph before 18 refuse streamed trailers',
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
