/**
 * vitest's global setup: the real services that tests share (infra/local/test-services.ts), started when
 * first needed.
 */
import type { TestProject } from 'vitest/node'
import { serveTestServices } from '../infra/local/test-services.ts'

/** Called by vitest once per run; returns what vitest calls at the end. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const services = await serveTestServices()
  project.provide('testServices', services.address)
  return services.stop
}
