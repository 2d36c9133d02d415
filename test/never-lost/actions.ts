/**
 * Everything that can happen in a story, as plain data: a failing story can be read, shortened and repeated.
 */
import fc from 'fast-check'
import type { Accident } from './call.ts'
import type { Circumstances } from './calls.ts'
import { CONTENTS, KEYS } from './contents.ts'
import type { Modes } from './library.ts'

export type Work =
  /** A message is delivered to its function; `stays`: it remains in the queue and is delivered again. */
  | { readonly do: 'deliver'; readonly which: number; readonly stays: boolean }
  | {
      readonly do:
        | 'copy'
        | 'follow'
        | 'sweep'
        | 'scrub'
        | 'advance recalls'
        | 'clean'
        | 'reconcile'
        | 'track arrivals'
        | 'find dark'
    }
  | { readonly do: 'verify'; readonly which: number; readonly readBack: 'never' | 'if-needed' | 'always' }
  /**
   * What `cygnet push --delete-when-safe` does on the DAQ's machine: reports a file, or that it is missing,
   * removes it with permission of the API, and after a crash reports removals that were not reported.
   */
  | {
      readonly do: 'report file' | 'report missing file' | 'remove file'
      readonly key: number
    }
  | { readonly do: 'start push' }
  | { readonly do: 'request recall'; readonly key: number; readonly days: number }
  /** The cleaner for one copy, and the function that completes or withdraws a deletion that was begun. */
  | { readonly do: 'delete' | 'settle'; readonly which: number }

export interface Step extends Circumstances {
  readonly work: Work
}

export type Drop = {
  readonly act: 'drop'
  readonly key: number
  readonly content: number
  /** Whether the DAQ also writes the file to its disk, over a file with the same name. */
  readonly onDisk: boolean
  /** Whether and when the store notifies of the object. */
  readonly notified: 'now' | 'later' | 'twice' | 'never'
}

export type Harm = {
  readonly act: 'harm'
  readonly how: 'damage tape file' | 'remove tape file' | 'remove object'
  readonly which: number
}

export type Action =
  | Drop
  | Harm
  | ({ readonly act: 'step' } & Step)
  | { readonly act: 'together'; readonly steps: readonly Step[]; readonly meanwhile: Drop | Harm | null }
  | { readonly act: 'wake'; readonly which: number; readonly how: 'continues' | 'dies' }
  /** A queue loses a message. */
  | { readonly act: 'lose'; readonly which: number }
  /** An hour without accidents: the functions do all work that waits. */
  | { readonly act: 'hour' }
  | { readonly act: 'wait'; readonly minutes: number }
  | { readonly act: 'service'; readonly jobs: 'done' | 'failed' | 'wrong bytes' }
  | { readonly act: 'migrate' }
  | { readonly act: 'library'; readonly modes: Modes }

/** Makes plain objects, which can be pasted into a test. */
const record = ((of: never) => fc.record(of, { noNullPrototype: true })) as unknown as typeof fc.record

const which = fc.nat({ max: 11 })
const key = fc.nat({ max: KEYS.length - 1 })
const word = <const T extends string>(...words: T[]) => fc.constantFrom(...words)

const work: fc.Arbitrary<Work> = fc.oneof(
  { weight: 6, arbitrary: record({ do: fc.constant('deliver' as const), which, stays: fc.boolean() }) },
  { weight: 4, arbitrary: record({ do: fc.constant('copy' as const) }) },
  { weight: 4, arbitrary: record({ do: fc.constant('clean' as const) }) },
  {
    weight: 4,
    arbitrary: record({ do: word('follow', 'sweep', 'advance recalls', 'reconcile', 'track arrivals') }),
  },
  { weight: 1, arbitrary: record({ do: word('scrub', 'find dark') }) },
  {
    weight: 6,
    arbitrary: record({
      do: word('report file', 'report missing file', 'remove file', 'remove file', 'remove file'),
      key,
    }),
  },
  { weight: 1, arbitrary: record({ do: word('start push') }) },
  {
    weight: 2,
    arbitrary: record({
      do: fc.constant('verify' as const),
      which,
      readBack: word('never', 'if-needed', 'always'),
    }),
  },
  {
    weight: 4,
    arbitrary: record({
      do: fc.constant('request recall' as const),
      key,
      days: fc.integer({ min: 1, max: 5 }),
    }),
  },
  { weight: 3, arbitrary: record({ do: word('delete', 'delete', 'settle'), which }) },
)

const accidentKind = word('dies', 'fails', 'stops', 'stalls')
const accident: fc.Arbitrary<Accident> = fc.oneof(
  record({
    kind: accidentKind,
    place: fc.constant(null),
    at: fc.oneof(fc.nat({ max: 3 }), fc.nat({ max: 10 }), fc.nat({ max: 30 })),
    done: fc.boolean(),
  }),
  record({
    kind: accidentKind,
    place: word('store', 'tape', 'queue', 'disk', 'network'),
    at: fc.nat({ max: 2 }),
    done: fc.boolean(),
  }),
)

const step: fc.Arbitrary<Step> = record({
  work,
  accident: fc.option(accident, { freq: 2 }),
  pace: fc.array(fc.nat({ max: 20 }), { maxLength: 4 }),
})

const drop: fc.Arbitrary<Drop> = record({
  act: fc.constant('drop'),
  key,
  content: fc.oneof(
    { weight: 6, arbitrary: fc.nat({ max: 1 }) },
    { weight: 2, arbitrary: fc.constantFrom(2, CONTENTS.length - 1) },
  ),
  onDisk: fc.boolean(),
  notified: word('now', 'now', 'later', 'twice', 'never'),
})

const harm: fc.Arbitrary<Harm> = record({
  act: fc.constant('harm'),
  how: word('damage tape file', 'remove tape file', 'remove object'),
  which,
})

const modes: fc.Arbitrary<Modes> = record({
  asynchronous: fc.boolean(),
  buffered: fc.boolean(),
  sends: fc.boolean(),
  down: fc.oneof({ weight: 5, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
})

const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 5, arbitrary: drop },
  { weight: 14, arbitrary: step.map((one) => ({ act: 'step' as const, ...one })) },
  {
    weight: 6,
    arbitrary: record({
      act: fc.constant('together' as const),
      steps: fc.array(step, { minLength: 2, maxLength: 3 }),
      meanwhile: fc.option(
        fc.oneof<fc.WeightedArbitrary<Drop | Harm>[]>(
          { weight: 4, arbitrary: drop },
          { weight: 1, arbitrary: harm },
        ),
        {
          freq: 2,
        },
      ),
    }),
  },
  {
    weight: 3,
    arbitrary: record({
      act: fc.constant('wake' as const),
      which,
      how: word('continues', 'continues', 'dies'),
    }),
  },
  { weight: 2, arbitrary: record({ act: fc.constant('lose' as const), which }) },
  { weight: 4, arbitrary: fc.constant({ act: 'hour' as const }) },
  {
    weight: 4,
    arbitrary: record({
      act: fc.constant('wait' as const),
      minutes: fc.constantFrom(1, 3, 20, 120, 400, 3000, 9000),
    }),
  },
  {
    weight: 3,
    arbitrary: record({
      act: fc.constant('service' as const),
      jobs: word('done', 'done', 'done', 'failed', 'wrong bytes'),
    }),
  },
  { weight: 2, arbitrary: record({ act: fc.constant('migrate' as const) }) },
  { weight: 1, arbitrary: harm },
  { weight: 1, arbitrary: record({ act: fc.constant('library' as const), modes }) },
)

const firstDrop: Drop = { act: 'drop', key: 0, content: 0, onDisk: false, notified: 'now' }

/** Random stories about the three objects. Each begins with a run whose notification arrives. */
export const stories = (longest: number): fc.Arbitrary<readonly Action[]> =>
  fc
    .array(action, { minLength: Math.floor(longest / 2), maxLength: longest, size: 'max' })
    .map((rest) => [firstDrop, ...rest])
