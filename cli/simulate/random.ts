/** Seeded random numbers: the same seed gives the same run, byte for byte. */

export interface Random {
  /** A whole number of 32 bits, 0 to 2^32 - 1. */
  bits(): number
  /** From 0 (included) to 1 (excluded). */
  uniform(): number
  /** From `least` (included) to `most` (excluded). */
  between(least: number, most: number): number
  /** Mean 0, standard deviation 1. */
  gaussian(): number
}

/**
 * Mixes 32-bit words into one (the finaliser of MurmurHash3), so that neighbouring seeds give unrelated
 * streams.
 */
function mix(words: readonly number[]): number {
  let hash = 0x9e3779b9
  for (const word of words) {
    hash = Math.imul(hash ^ word, 0x85ebca6b)
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
    hash ^= hash >>> 16
  }
  return hash >>> 0
}

/**
 * A separate stream for each list of keys, e.g. (seed, run, event). Generator: sfc32 of the PractRand suite.
 */
export function randomStream(...keys: readonly number[]): Random {
  let a = mix([...keys, 1])
  let b = mix([...keys, 2])
  let c = mix([...keys, 3])
  let counter = 1
  const bits = (): number => {
    const sum = (((a + b) | 0) + counter) | 0
    counter = (counter + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = ((c << 21) | (c >>> 11)) + sum
    return sum >>> 0
  }
  for (let round = 0; round < 12; round++) bits()
  const uniform = () => bits() / 0x1_0000_0000
  return {
    bits,
    uniform,
    between: (least, most) => least + (most - least) * uniform(),
    gaussian: () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()),
  }
}
