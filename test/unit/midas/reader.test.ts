import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { InvalidInputError } from '../../../shared/errors.ts'
import { MAX_BANK_NAMES } from '../../../shared/midas/banks.ts'
import { encodeBanks, encodeEvent } from '../../../shared/midas/encode.ts'
import { createReader } from '../../../shared/midas/reader.ts'
import { TID } from '../../../shared/midas/tid.ts'
import {
  beginOfRun,
  cameraBanks,
  cameraEvent,
  concat,
  digitizerHeader,
  dump,
  endOfRun,
  event,
  eventOffset,
  message,
  noise,
  RUN_NUMBER,
  START_TIME,
  slowEvent,
  smallRun,
  text,
  walkStream,
  withByte,
  withU32,
} from '../../support/midas-run.ts'

const run = smallRun(3)
/** Begin, message, slow event, then three camera events, then end. */
const CAMERA_EVENT = 3
const codes = (findings: readonly { readonly code: string }[]): readonly string[] =>
  findings.map(({ code }) => code)
const banksEvent = (serial: number, name: string, type: number, data: Uint8Array): Uint8Array =>
  event(1, serial, encodeBanks('bank32', [{ name, type, data }]))

describe('a sound run', () => {
  it('is described completely', () => {
    const walked = walkStream(run)
    expect(walked).toMatchObject({
      uncompressedBytes: run.length,
      runNumber: RUN_NUMBER,
      eventCount: 4,
      eventsById: { 1: 3, 5: 1 },
      internalEvents: { '0x8000': 1, '0x8001': 1, '0x8002': 1 },
      firstEventTime: START_TIME,
      lastEventTime: START_TIME + 2,
      serialGaps: {},
      banks: {
        INPT: { count: 1, bytes: 92 },
        OUTP: { count: 1, bytes: 0 },
        DIG0: { count: 3, bytes: 192 },
        DGH0: { count: 3, bytes: 216 },
        CAM0: { count: 3, bytes: 1536 },
      },
      cameraBytes: new Map([[0, 512]]),
      damage: [],
      ending: null,
      warnings: [],
    })
    expect(walked.beginDump).toEqual(dump(RUN_NUMBER))
    expect(walked.endDump).toEqual(dump(RUN_NUMBER))
    expect(walked.digitizerHeader).toEqual({ type: TID.uint32, data: digitizerHeader() })
  })

  it('is read the same however the stream is cut into pieces', () => {
    const expected = walkStream(run)
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 60 }), (sizes) => {
        const reader = createReader()
        let at = 0
        for (let i = 0; at < run.length; i += 1) {
          const size = sizes[i % sizes.length] ?? 1
          reader.push(run.subarray(at, at + size))
          at += size
        }
        expect(reader.end()).toEqual(expected)
      }),
    )
    expect(walkStream(run, 1)).toEqual(expected)
  })

  it('has its banks counted in events of different formats', () => {
    const mixed = concat(
      beginOfRun(),
      slowEvent(0, 'bank16'),
      cameraEvent(0, 'bank32'),
      cameraEvent(1, 'bank32a'),
      endOfRun(),
    )
    const walked = walkStream(mixed)
    expect(walked.eventsById).toEqual({ 1: 2, 5: 1 })
    expect(walked.banks.CAM0).toEqual({ count: 2, bytes: 1024 })
  })

  it('may have its last bank without padding', () => {
    const body = encodeBanks('bank32', [{ name: 'TCAM', type: TID.float64, data: new Uint8Array(5) }])
    const unpadded = body.slice(0, body.length - 3)
    new DataView(unpadded.buffer).setUint32(0, unpadded.length - 8, true)
    const walked = walkStream(concat(beginOfRun(), event(7, 0, unpadded), endOfRun()))
    expect(walked).toMatchObject({
      eventCount: 1,
      banks: { TCAM: { count: 1, bytes: 5 } },
      damage: [],
      warnings: [],
    })
  })

  it('may start with a message, and with a data event when the ODB is not dumped', () => {
    expect(walkStream(concat(message(), run)).internalEvents['0x8002']).toBe(2)
    const bare = walkStream(concat(cameraEvent(0), cameraEvent(1)))
    expect(bare).toMatchObject({ eventCount: 2, runNumber: null })
    expect(bare.ending?.code).toBe('no-end-of-run')
    expect(codes(bare.warnings)).toContain('no-begin-of-run')
  })

  it('counts missing serial numbers, event id by event id', () => {
    const stream = concat(
      beginOfRun(),
      ...[4, 5, 9, 10].map((serial) => cameraEvent(serial)),
      slowEvent(0),
      slowEvent(2),
      endOfRun(),
    )
    expect(walkStream(stream).serialGaps).toEqual({ 1: 3, 5: 1 })
  })

  it.each([
    ['an event written twice hides none that is lost', [0, 1, 1, 3], { 1: 1 }],
    ['an event that comes late is not missing', [0, 2, 1, 3], {}],
    ['numbers wrap after 2^32', [0xfffffffe, 0xffffffff, 0, 1], {}],
    ['a gap far larger than memory is counted', [0, 1_000_000, 5], { 1: 999_999 }],
  ])('follows the serial numbers as they come: %s', (_, serials, gaps) => {
    const stream = concat(beginOfRun(), ...serials.map((serial) => cameraEvent(serial)), endOfRun())
    expect(walkStream(stream).serialGaps).toEqual(gaps)
  })

  it('counts an event that came in fragments once, under its own id', () => {
    const fragment = (id: number) =>
      encodeEvent({ id, mask: 0, serial: 1, timeSeconds: START_TIME, body: noise(40) })
    const walked = walkStream(
      concat(beginOfRun(), fragment(0xc001), fragment(0xd001), fragment(0xd001), endOfRun()),
    )
    expect(walked).toMatchObject({ eventsById: { 1: 1 }, damage: [], ending: null })
    expect(codes(walked.warnings)).toEqual(['event-fragments'])
  })
})

describe('what is no run', () => {
  it.each([
    ['an empty stream', new Uint8Array(0), /nothing readable/],
    ['an event header alone', beginOfRun().slice(0, 16), /nothing readable/],
    ['a few bytes of an event header', beginOfRun().slice(0, 7), /nothing readable/],
    ['the first event cut, without a begin of run', cameraEvent(0).slice(0, 100), /nothing readable/],
    [
      'text',
      text('hello, this is no run file at all'),
      /not a MIDAS file: it starts with the bytes 68 65 6c 6c/,
    ],
    ['a ROOT file', text('root\0\0\x01\x02 and more bytes follow'), /a ROOT file/],
    ['zeros', new Uint8Array(5000), /zeros/],
    ['a big-endian run', Uint8Array.of(0x80, 0, 0x49, 0x4d, ...new Uint8Array(60)), /big-endian/],
  ])('%s is refused with its reason', (_, stream, reason) => {
    expect(() => walkStream(stream)).toThrow(InvalidInputError)
    expect(() => walkStream(stream)).toThrow(reason)
    if (stream.length > 0) expect(() => walkStream(stream, 1)).toThrow(reason)
  })

  it('a big-endian data event is recognised', () => {
    const stream = new Uint8Array(64)
    const view = new DataView(stream.buffer)
    view.setUint16(0, 5)
    view.setUint32(12, 48)
    view.setUint32(16, 40)
    view.setUint32(20, 0x11)
    expect(() => walkStream(stream)).toThrow(/big-endian/)
  })
})

describe('damage inside the stream', () => {
  const second = eventOffset(run, CAMERA_EVENT + 1)

  it('a bank larger than its event costs that event alone', () => {
    const bankSizeAt = second + 16 + 8 + 8
    const walked = walkStream(withU32(run, bankSizeAt, 0x7fffffff))
    expect(walked).toMatchObject({ eventsById: { 1: 2, 5: 1 }, ending: null, serialGaps: { 1: 1 } })
    expect(walked.banks.CAM0).toEqual({ count: 2, bytes: 1024 })
    expect(walked.damage).toMatchObject([{ code: 'event-damaged', offset: second }])
    expect(walked.damage[0]?.message).toContain('DIG0')
  })

  it('an event larger than any can be ends the reading there', () => {
    const walked = walkStream(withU32(run, second + 12, 0xffffffff))
    expect(walked).toMatchObject({ eventsById: { 1: 1, 5: 1 } })
    expect(walked.ending).toMatchObject({ code: 'event-too-large', offset: second })
  })

  it('an event larger than the rest of the file is distinguished from a cut one', () => {
    const walked = walkStream(withU32(run, second + 12, 1_000_000))
    expect(walked).toMatchObject({
      eventsById: { 1: 1, 5: 1 },
      ending: { code: 'event-beyond-end', offset: second },
    })
  })

  it('a wrong size of all banks is a warning; the banks count', () => {
    for (const wrong of [0, 8, 0xffffffff]) {
      const walked = walkStream(withU32(run, second + 16, wrong))
      expect(walked.banks.CAM0).toEqual({ count: 3, bytes: 1536 })
      expect(walked).toMatchObject({ eventCount: 4, damage: [], ending: null })
      expect(walked.warnings).toMatchObject([{ code: 'banks-size', offset: second }])
    }
  })

  it('a begin of run without its magic is a warning', () => {
    const walked = walkStream(withByte(run, 2, () => 0))
    expect(walked).toMatchObject({ runNumber: RUN_NUMBER, eventCount: 4, ending: null })
    expect(codes(walked.warnings)).toEqual(['run-boundary-magic'])
  })

  it('unknown bank types and names that are not ASCII are counted under an escaped name', () => {
    const walked = walkStream(
      concat(
        beginOfRun(),
        banksEvent(0, 'ABCD', 241, noise(8)),
        banksEvent(1, 'A\xe9\0\\', 4, noise(10)),
        endOfRun(),
      ),
    )
    expect(walked.banks).toEqual({
      ABCD: { count: 1, bytes: 8 },
      'A\\xe9\\x00\\x5c': { count: 1, bytes: 10 },
    })
    expect(codes(walked.warnings)).toEqual(['bank-type', 'bank-name'])
    expect(walked.ending).toBeNull()
  })

  it('zeros instead of an event end the reading there', () => {
    const walked = walkStream(concat(run.slice(0, second), new Uint8Array(1000)))
    expect(walked).toMatchObject({ eventCount: 2, ending: { code: 'zeros', offset: second } })
  })
})

describe('how a stream ends', () => {
  it('at an event boundary without an end of run', () => {
    const cut = run.slice(0, eventOffset(run, CAMERA_EVENT + 2))
    expect(walkStream(cut)).toMatchObject({
      eventCount: 3,
      ending: { code: 'no-end-of-run', offset: cut.length },
    })
  })

  it.each([
    ['an event header', 7, 'cut-in-header'],
    ['the header of all banks', 20, 'cut-in-event'],
    ['a bank header', 30, 'cut-in-event'],
    ['a bank', 200, 'cut-in-event'],
  ])('inside %s: the complete events are kept and the cut is reported', (_, inside, code) => {
    const cut = run.slice(0, eventOffset(run, CAMERA_EVENT + 1) + inside)
    const walked = walkStream(cut)
    expect(walked).toMatchObject({ eventsById: { 1: 1, 5: 1 }, ending: { code, offset: cut.length } })
    expect(walked.banks.CAM0).toEqual({ count: 1, bytes: 512 })
  })

  it('inside the begin-of-run dump: the run number is known', () => {
    const walked = walkStream(run.slice(0, 50))
    expect(walked).toMatchObject({
      runNumber: RUN_NUMBER,
      eventCount: 0,
      beginDump: null,
      ending: { code: 'cut-in-begin-of-run', offset: 50 },
    })
  })

  it('inside the end-of-run dump: not complete', () => {
    const walked = walkStream(run.slice(0, -5))
    expect(walked).toMatchObject({ eventCount: 4, endDump: null, ending: { code: 'cut-in-end-of-run' } })
  })

  it('with garbage behind the end of the run: a warning with offset and length', () => {
    for (const garbage of [noise(3), noise(500), new Uint8Array(64), cameraEvent(9).slice(0, 80)]) {
      const walked = walkStream(concat(run, garbage))
      expect(walked).toMatchObject({ eventCount: 4, ending: null })
      expect(walked.warnings).toMatchObject([{ code: 'trailing-garbage', offset: run.length }])
      expect(walked.warnings[0]?.message).toContain(`${garbage.length} bytes`)
    }
  })

  it('with whole events behind the end of the run: they count, with a warning', () => {
    const walked = walkStream(concat(run, cameraEvent(3)))
    expect(walked).toMatchObject({ eventCount: 5, ending: null, warnings: [{ code: 'events-after-end' }] })
  })

  it('with a second run: both are counted, the first gives the number', () => {
    const walked = walkStream(concat(run, smallRun(1, 'bank32', 12346)))
    expect(walked).toMatchObject({
      runNumber: RUN_NUMBER,
      eventCount: 6,
      ending: null,
      warnings: [{ code: 'several-runs' }],
    })
  })

  it('any cut gives whole events only, never more than the run has, never a throw but for nothing readable', () => {
    const offsets = Array.from({ length: 7 }, (_, index) => eventOffset(run, index))
    for (let length = 0; length < run.length; length += 1) {
      if (length <= 16) {
        expect(() => walkStream(run.slice(0, length))).toThrow(InvalidInputError)
        continue
      }
      const walked = walkStream(run.slice(0, length))
      const whole = offsets.filter(
        (start, index) =>
          index >= 2 && index < 6 && (offsets[index + 1] ?? run.length) <= length && start < length,
      )
      expect(walked.eventCount).toBe(whole.length)
      expect(walked.ending).not.toBeNull()
    }
  })
})

describe('events of the format FIXED, which have no banks', () => {
  const fixed = (serial: number, ...words: number[]) =>
    event(2, serial, new Uint8Array(Uint32Array.from(words).buffer))
  const floats = (...values: number[]) => [...new Uint32Array(Float32Array.from(values).buffer)]

  it.each([
    ['floats', floats(1, 2, 3, 4, 5, 6)],
    ['a counter, and a word that looks like the flags of banks', [77, 1, 1234, 5678]],
    ['words that look like the size of banks and flags of none', [8, 7, 0xffffffff, 0xffffffff]],
    ['zeros', [0, 0, 0]],
    ['a single word', [5]],
  ])('%s: are counted and passed over', (_, words) => {
    const walked = walkStream(
      concat(beginOfRun(), fixed(0, ...words), cameraEvent(0), fixed(1, ...words), endOfRun()),
    )
    expect(walked).toMatchObject({ eventsById: { 1: 1, 2: 2 }, damage: [], ending: null, serialGaps: {} })
    expect(walked.banks.CAM0).toEqual({ count: 1, bytes: 512 })
  })

  it('an event that is not of this run, or whose id has banks, is damaged instead', () => {
    const bad = new Uint8Array(Uint32Array.of(9, 9, 0xffffffff, 0xffffffff, 0xffffffff).buffer)
    const other = encodeEvent({ id: 2, mask: 0, serial: 0, timeSeconds: 5, body: bad })
    for (const damaged of [other, event(1, 1, bad)])
      expect(walkStream(concat(beginOfRun(), cameraEvent(0), damaged, endOfRun())).damage).toHaveLength(1)
  })
})

describe('hostile streams', () => {
  it('a hundred thousand damaged events give one finding', () => {
    const damaged = event(1, 0, encodeBanks('bank32', [{ name: 'CAM0', type: 4, data: new Uint8Array(8) }]))
    const bad = withU32(damaged, 16 + 8 + 8, 0xffff)
    const thousand = concat(...Array.from({ length: 1000 }, () => bad))
    const reader = createReader()
    reader.push(beginOfRun())
    for (let i = 0; i < 100; i += 1) reader.push(thousand)
    const walked = reader.end()
    expect(walked.eventCount).toBe(0)
    expect(walked.damage).toHaveLength(1)
    expect(walked.damage[0]?.message).toContain('100000 events are damaged')
  })

  it('keeps a bounded number of bank names', () => {
    const banks = Array.from({ length: 5000 }, (_, index) => ({
      name: index.toString(36).padStart(4, '_'),
      type: 1,
      data: new Uint8Array(0),
    }))
    const walked = walkStream(concat(beginOfRun(), event(1, 0, encodeBanks('bank16', banks)), endOfRun()))
    expect(Object.keys(walked.banks)).toHaveLength(MAX_BANK_NAMES)
    expect(codes(walked.warnings)).toEqual(['bank-names'])
  })

  it('passes over an ODB dump that is too large to keep, and claims of size cost no memory', () => {
    const reader = createReader({ maxDumpBytes: 100 })
    reader.push(run)
    const walked = reader.end()
    expect(walked).toMatchObject({ beginDump: null, endDump: null, eventCount: 4, ending: null })
    expect(codes(walked.warnings)).toEqual(['odb-too-large'])
  })

  it('takes the digitizer header of a damaged event for nothing', () => {
    const broken = withU32(cameraEvent(0), 16 + 8 + 12 + 64 + 12 + 72 + 8, 0xffffff)
    const sound = event(
      1,
      1,
      encodeBanks('bank32', [
        ...cameraBanks(1).slice(0, 1),
        { name: 'DGH0', type: TID.uint32, data: Uint8Array.of(1, 0, 0, 0) },
      ]),
    )
    const walked = walkStream(concat(beginOfRun(), broken, sound, endOfRun()))
    expect(walked.damage).toHaveLength(1)
    expect(walked.digitizerHeader?.data).toEqual(Uint8Array.of(1, 0, 0, 0))
    expect(walked.cameraBytes).toEqual(new Map())
  })

  it('random bytes behind a begin of run never throw and never count what is not there', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2000 }), (bytes) => {
        const walked = walkStream(concat(beginOfRun(), bytes))
        const sum = Object.values(walked.eventsById).reduce((total, count) => total + count, 0)
        expect(walked.eventCount).toBe(sum)
        expect(walked.uncompressedBytes).toBe(beginOfRun().length + bytes.length)
      }),
    )
  })
})
