/** Progress bars on a terminal: one for the checksums of a file, one for sending it. */
import { SingleBar } from 'cli-progress'
import { bytes } from '../output.ts'
import type { PushProgress } from './push-file.ts'

interface ProgressBars {
  show(progress: PushProgress): void
  /** Removes the bar before other output. */
  clear(): void
}

const TITLES = { checksums: 'checksums of', sending: 'sending' } as const

export function createProgressBars(stream: NodeJS.WriteStream): ProgressBars {
  let bar: { readonly bar: SingleBar; readonly about: string } | null = null
  const clear = () => {
    bar?.bar.stop()
    bar = null
  }
  return {
    show({ file, phase, doneBytes, totalBytes }) {
      const about = `${phase} ${file}`
      if (bar?.about !== about) {
        clear()
        bar = { about, bar: createBar(stream) }
        const name = file.slice(file.lastIndexOf('/') + 1)
        bar.bar.start(totalBytes, doneBytes, {
          what: `${TITLES[phase]} ${name}`,
          size: bytes(totalBytes),
          done: bytes(doneBytes),
        })
      }
      bar.bar.update(doneBytes, { done: bytes(doneBytes) })
    },
    clear,
  }
}

function createBar(stream: NodeJS.WriteStream): SingleBar {
  return new SingleBar({
    stream,
    format: '{what} {bar} {percentage}%, {done} of {size}, {eta_formatted} left',
    clearOnComplete: true,
    hideCursor: true,
    etaBuffer: 50,
  })
}
