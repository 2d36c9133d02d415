/**
 * Adds up vitest's reports into the line that closes a CI run. Ends with 1 when there is none, or one counts
 * no test at all.
 */
import { readFileSync } from 'node:fs'
import { basename } from 'node:path'

const total = { passed: 0, failed: 0, skipped: 0 }
let empty = process.argv.length === 2
for (const path of process.argv.slice(2)) {
  const report = JSON.parse(readFileSync(path, 'utf8'))
  const passed = report.numPassedTests
  // A file that could not be loaded has no tests, and has failed.
  const failed =
    report.numFailedTests +
    report.testResults.filter((file) => file.status === 'failed' && file.assertionResults.length === 0).length
  const skipped = report.numPendingTests + report.numTodoTests
  console.log(`${basename(path, '.json')}: ${passed} passed, ${failed} failed, ${skipped} skipped`)
  if (passed + failed + skipped === 0) empty = true
  total.passed += passed
  total.failed += failed
  total.skipped += skipped
}
console.log(`all: ${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`)
if (empty) process.exitCode = 1
