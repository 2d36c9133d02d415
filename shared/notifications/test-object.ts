/**
 * The small objects by which `cygnet notifications test` follows one notification: no file of the DAQ has such a name,
 * and nothing else is done with them.
 */

const TEST_OBJECT = /cygnet-test-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/

/** The key of the test with this UUID, which a rule with this prefix and suffix announces. */
export const testObjectKey = (
  uuid: string,
  { prefix, suffix }: { readonly prefix: string; readonly suffix: string },
): string => `${prefix}cygnet-test-${uuid}${suffix}`

/** The UUID of the test; null for any other key. */
export const testIdOf = (key: string): string | null =>
  TEST_OBJECT.exec(key.slice(key.lastIndexOf('/') + 1))?.[1] ?? null
