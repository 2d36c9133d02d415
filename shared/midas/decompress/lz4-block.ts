/** The lz4 block format: sequences of literals and of copies from up to 64 KiB back. */

export interface BlockDecoded {
  /** End of the output; bytes up to here are valid even if the block is not. */
  readonly end: number
  /** Null when the block is complete and valid; else the error and its position in the input. */
  readonly error: { readonly kind: 'cut' | 'corrupt'; readonly at: number } | null
}

const MIN_MATCH = 4

/**
 * Decodes `input` into `output` from `start` on. Copies may reach back as far as `historyStart`.
 * @returns the end of the output; never writes beyond `limit`, and stops at the first invalid sequence.
 */
export function decodeLz4Block(
  input: Uint8Array,
  output: Uint8Array,
  historyStart: number,
  start: number,
  limit: number,
): BlockDecoded {
  const inputEnd = input.length
  let at = 0
  let to = start
  const wrong = (kind: 'cut' | 'corrupt', where: number): BlockDecoded => ({
    end: to,
    error: { kind, at: where },
  })
  while (at < inputEnd) {
    const sequence = at
    const token = input[at++] as number
    let literals = token >>> 4
    if (literals === 15) {
      let more = 255
      while (more === 255) {
        if (at >= inputEnd) return wrong('cut', inputEnd)
        more = input[at++] as number
        literals += more
      }
    }
    if (literals > 0) {
      const copied = Math.min(literals, inputEnd - at, limit - to)
      if (copied <= 32) for (let i = 0; i < copied; i += 1) output[to + i] = input[at + i] as number
      else output.set(input.subarray(at, at + copied), to)
      at += copied
      to += copied
      if (copied < literals) return at >= inputEnd ? wrong('cut', inputEnd) : wrong('corrupt', sequence)
    }
    // The last sequence has literals only.
    if (at >= inputEnd) break
    if (at + 1 >= inputEnd) return wrong('cut', inputEnd)
    const distance = (input[at] as number) | ((input[at + 1] as number) << 8)
    at += 2
    let length = token & 15
    if (length === 15) {
      let more = 255
      while (more === 255) {
        if (at >= inputEnd) return wrong('cut', inputEnd)
        more = input[at++] as number
        length += more
      }
    }
    length += MIN_MATCH
    const from = to - distance
    if (distance === 0 || from < historyStart || length > limit - to) return wrong('corrupt', sequence)
    if (length <= 32) for (let i = 0; i < length; i += 1) output[to + i] = output[from + i] as number
    else if (distance >= length) output.copyWithin(to, from, from + length)
    else if (distance === 1) output.fill(output[from] as number, to, to + length)
    else {
      // The copy overlaps itself: each round doubles the length that can be copied at once.
      let done = 0
      while (done < length) {
        const count = Math.min(distance + done, length - done)
        output.copyWithin(to + done, from, from + count)
        done += count
      }
    }
    to += length
  }
  return { end: to, error: null }
}
