/** The progress bar for the file that is being fetched or compared. */
import { SingleBar } from 'cli-progress'
import { bytes } from '../output.ts'
import type { GetProgress } from './get-file.ts'

export interface GetBar {
  show(progress: GetProgress): void
  /** Removes the bar before other output. */
  clear(): void
}

export function createGetBar(stream: NodeJS.WriteStream): GetBar {
  let shown: { readonly bar: SingleBar; readonly about: string } | null = null
  const clear = () => {
    shown?.bar.stop()
    shown = null
  }
  return {
    show({ file, phase, doneBytes, totalBytes }) {
      const about = `${phase} ${file}`
      if (shown?.about !== about) {
        clear()
        const bar = new SingleBar({
          stream,
          format: '{what} {bar} {percentage}%, {done} of {size}, {eta_formatted} left',
          clearOnComplete: true,
          hideCursor: true,
          etaBuffer: 50,
        })
        shown = { bar, about }
        bar.start(totalBytes, doneBytes, { what: about, size: bytes(totalBytes), done: bytes(doneBytes) })
      }
      shown.bar.update(doneBytes, { done: bytes(doneBytes) })
    },
    clear,
  }
}
