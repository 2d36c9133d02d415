/** Questions to the person at the terminal. */
import { createInterface } from 'node:readline/promises'

/** Asks a person; without a terminal nobody can answer. */
export async function isConfirmed(): Promise<boolean> {
  if (!process.stdin.isTTY) return false
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  try {
    return /^y(es)?$/i.test((await terminal.question('Do it? [y/N] ')).trim())
  } finally {
    terminal.close()
  }
}
