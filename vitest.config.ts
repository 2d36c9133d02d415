import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** The projects whose files take longest come first, so that none of them runs alone at the end. */
const LONGEST_FIRST = ['never-lost', 'e2e', 'db', 'fuzz', 'unit']

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ project }: TestSpecification) => LONGEST_FIRST.indexOf(project.name)
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b))
  }
}

const project = (name: string, include: string[], more: object = {}) => ({
  test: {
    name,
    include,
    globalSetup: ['test/setup.ts'],
    testTimeout: 300_000,
    hookTimeout: 300_000,
    ...more,
  },
})

/**
 * Time limits end what hangs, on however slow a machine; no test is about them.
 *
 * unit: no server and no process. fuzz: thousands of damaged inputs. db: the MariaDB, S3 and SQS of the test
 * run. never-lost: random stories on them. e2e, chaos: servers of other kinds, whole stacks, commands as
 * processes. browser: pages in Chromium. conformance: peer-written inputs. real: real MinIO and the like; a
 * server that is not ours (XRootD answers 500 now and then under load) gets a second chance, ours do not.
 */
export default defineConfig({
  test: {
    // Half of the time of a test is waiting for servers and processes.
    maxWorkers: 4,
    sequence: { sequencer: LongestFirst },
    tags: [
      {
        name: 'long',
        description:
          'what dies at every moment at which it can, and thousands of objects: `npm run test:long`',
      },
    ],
    projects: [
      project('unit', ['test/unit/**/*.test.ts'], { isolate: false }),
      project('db', ['test/db/**/*.test.ts'], { isolate: false }),
      project('fuzz', ['test/fuzz/*.test.ts'], { isolate: false }),
      project('never-lost', ['test/never-lost/*.test.ts'], { setupFiles: ['test/never-lost/own-time.ts'] }),
      project('e2e', ['test/{e2e,chaos}/**/*.test.ts'], { testTimeout: 600_000 }),
      project('browser', ['test/browser/**/*.test.ts'], { fileParallelism: false, testTimeout: 600_000 }),
      project('conformance', ['test/conformance/**/*.test.ts']),
      project('real', ['test/real/**/*.test.ts'], {
        fileParallelism: false,
        testTimeout: 300_000,
        hookTimeout: 900_000,
        retry: 1,
      }),
    ],
  },
})
