/**
 * The structure of a MIDAS stream: event headers and, for data events, the header of all banks and the banks.
 *
 * Damage: a bank that does not fit into its event makes the event damaged, and the walk continues with the
 * next event, since the event's own size is plausible; an impossible event header ends the walk. After the
 * end of the run the rules are stricter: anything but a complete, undamaged event is garbage, and ends the
 * walk without being a fault.
 *
 * An event need not have banks (MIDAS's format FIXED: bare data): it is counted and passed over. Nothing in it
 * states so. It is recognised by contradicting the header of all banks, with an id that had no banks before
 * and a time of this run; anything else that contradicts it is damage.
 */
import { BankTally, bankName, bankNameCode, MAX_BANK_NAMES, readBankHeader } from './banks.ts'
import { Capture } from './capture.ts'
import { EventTally } from './event-tally.ts'
import { type EventHeader, type EventKind, eventKind, hasUsualFlags, readEventHeader, u32 } from './events.ts'
import { FindingList } from './finding-list.ts'
import {
  BANK_HEADER_BYTES,
  BANKS_HEADER_BYTES,
  type BankFormat,
  bankFormat,
  EVENT_FRAGMENT_ID_MASK,
  EVENT_HEADER_BYTES,
  MIDAS_MAGIC,
  paddedBankBytes,
} from './format.ts'
import type { Grammar } from './slicer.ts'
import { tidInfo } from './tid.ts'
import type { BankContents, Limits, Stop } from './walk-result.ts'

/** A header of 128 triggers on many boards has a few kilobytes. */
const MAX_DIGITIZER_HEADER_BYTES = 1024 * 1024

/** Camera numbers by the codes of their banks' names. */
const CAMERAS = new Map(Array.from({ length: 10 }, (_, number) => [bankNameCode(`CAM${number}`), number]))
const DIGITIZER_HEADER = bankNameCode('DGH0')

/** Longer than any run lasts: times of events are compared with the first time in the file. */
const LONGEST_RUN_SECONDS = 30 * 86_400

/** The event being read. */
interface Current {
  readonly kind: EventKind
  readonly header: EventHeader
  /** Of its header in the stream. */
  readonly offset: number
  /** True once its size and the size of its banks contradict each other. */
  inconsistent: boolean
  damaged: boolean
}

export class EventGrammar implements Grammar {
  readonly events = new EventTally()
  readonly banks = new BankTally()
  readonly damaged = new FindingList()
  readonly warnings = new FindingList()
  readonly internal = new Map<string, number>()
  runNumber: number | null = null
  endRunNumber: number | null = null
  beginDump: Uint8Array | null = null
  endDump: Uint8Array | null = null
  digitizerHeader: BankContents | null = null
  /** Camera number → size of its frames. */
  readonly cameraBytes = new Map<number, number>()
  stop: Stop | null = null
  /** Offset of garbage after the end of the run. */
  garbageOffset: number | null = null
  /** Event headers read, of any kind. */
  seen = 0
  /** True from an end-of-run event until another run begins. */
  ended = false

  capture: Capture | null = null
  current: Current | null = null
  #step: 'event' | 'banks' | 'bank' | 'nothing' = 'event'
  readonly #limits: Limits
  #format: BankFormat = 'bank32'
  /** Data bytes of the event after those that were read or are being skipped. */
  #left = 0
  /** How many of these belong to banks according to the size of all banks; negative after their end. */
  #declaredLeft = 0
  /** Ids of events that had banks. */
  readonly #idsWithBanks = new Set<number>()
  #firstTime: number | null = null
  /** Banks of the event that were read. */
  #bankCount = 0
  /** Whether the event contradicts the header of all banks, but can be one without banks. */
  #mayBeBare = false
  /** For the event being read: counted once it is complete. */
  #newHeader: { readonly type: number; readonly capture: Capture } | null = null
  readonly #newCameraBytes = new Map<number, number>()

  constructor(limits: Limits) {
    this.#limits = limits
  }

  get headerBytes(): number {
    if (this.#step === 'event') return EVENT_HEADER_BYTES
    if (this.#step === 'banks') return BANKS_HEADER_BYTES
    return this.#step === 'bank' ? BANK_HEADER_BYTES[this.#format] : 0
  }

  header(bytes: Uint8Array, at: number, position: number): number {
    if (this.#step === 'event') return this.#event(readEventHeader(bytes, at), position)
    if (this.#step === 'banks') return this.#allBanks(u32(bytes, at), u32(bytes, at + 4))
    this.#left -= BANK_HEADER_BYTES[this.#format]
    this.#declaredLeft -= BANK_HEADER_BYTES[this.#format]
    const { nameCode, type, sizeBytes } = readBankHeader(bytes, at, this.#format)
    return this.#bank(nameCode, type, sizeBytes)
  }

  passed(): number {
    if (this.#step === 'bank') {
      this.capture = null
      const left = this.#left
      if (left >= BANK_HEADER_BYTES[this.#format]) return 0
      if (left > 0)
        return this.#unreadable(() => `${left} bytes remain behind its last bank, too few for another`, 0)
      this.#step = 'event'
    }
    if (this.#step === 'event') this.#finishEvent()
    return 0
  }

  #finishEvent(): void {
    const { current } = this
    if (current === null) return
    const { kind, header, offset } = current
    if (current.damaged) this.banks.rollback()
    else if (kind === 'data' || kind === 'first-fragment') this.#count(kind, header, offset)
    else if (kind === 'begin-of-run' && this.capture !== null) this.beginDump = this.capture.bytes
    else if (kind === 'end-of-run' && this.capture !== null) this.endDump = this.capture.bytes
    if (kind === 'end-of-run') this.ended = true
    this.capture = null
    this.current = null
    this.#newHeader = null
    this.#newCameraBytes.clear()
  }

  #count(kind: EventKind, header: EventHeader, offset: number): void {
    this.events.add(kind === 'data' ? header.id : header.id & EVENT_FRAGMENT_ID_MASK, header)
    this.banks.commit()
    if (this.#newHeader !== null)
      this.digitizerHeader = { type: this.#newHeader.type, data: this.#newHeader.capture.bytes }
    for (const [camera, sizeBytes] of this.#newCameraBytes)
      if (!this.cameraBytes.has(camera)) this.cameraBytes.set(camera, sizeBytes)
    if (this.ended)
      this.warnings.add(
        'events-after-end',
        offset,
        (count) => `${count} data events follow the end-of-run event (the first at byte ${offset})`,
      )
  }

  #event(header: EventHeader, offset: number): number {
    this.seen += 1
    const kind = eventKind(header.id)
    this.current = { kind, header, offset, inconsistent: false, damaged: false }
    this.#left = 0
    const { id, mask, serial, timeSeconds, dataBytes } = header
    if ((id | mask | serial | timeSeconds | dataBytes) === 0)
      return this.#end('zeros', 'there are zeros where an event should start')
    if (dataBytes > this.#limits.maxEventBytes)
      return this.#end(
        'event-too-large',
        `its header states ${dataBytes} bytes, more than the ${this.#limits.maxEventBytes} an event may have`,
      )
    this.#firstTime ??= timeSeconds
    if (kind === 'begin-of-run' || kind === 'end-of-run') return this.#runBoundary(kind, header, offset)
    if (kind === 'message') this.#countInternal(header)
    if (kind === 'first-fragment' || kind === 'next-fragment')
      this.warnings.add(
        'event-fragments',
        offset,
        (count) => `${count} fragments of events: their banks are not counted (the first at byte ${offset})`,
      )
    if (kind !== 'data') return dataBytes
    if (dataBytes < BANKS_HEADER_BYTES) {
      if (this.ended) return this.#end('', '')
      this.#left = dataBytes
      return this.#passOverBare(offset)
    }
    this.#step = 'banks'
    this.#left = dataBytes - BANKS_HEADER_BYTES
    return 0
  }

  #runBoundary(kind: 'begin-of-run' | 'end-of-run', header: EventHeader, offset: number): number {
    if (header.mask !== MIDAS_MAGIC) {
      if (this.ended) return this.#end('', '')
      this.warnings.add(
        'run-boundary-magic',
        offset,
        () => `the ${kind} event at byte ${offset} lacks the mark 0x494d of MIDAS in its trigger mask`,
      )
    }
    this.#countInternal(header)
    if (kind === 'begin-of-run') {
      if (this.runNumber !== null)
        this.warnings.add(
          'several-runs',
          offset,
          () =>
            `another begin-of-run event (run ${header.serial}) at byte ${offset}: the file holds several runs`,
        )
      this.runNumber ??= header.serial
      this.ended = false
    } else this.endRunNumber ??= header.serial
    const wanted = kind === 'begin-of-run' ? this.beginDump === null : this.endDump === null
    if (header.dataBytes > this.#limits.maxDumpBytes)
      this.warnings.add(
        'odb-too-large',
        offset,
        () =>
          `the ODB dump of the ${kind} event at byte ${offset} has ${header.dataBytes} bytes and was not read`,
      )
    else if (wanted && header.dataBytes > 0) this.capture = new Capture(header.dataBytes)
    return header.dataBytes
  }

  #countInternal(header: EventHeader): void {
    const key = `0x${header.id.toString(16)}`
    this.internal.set(key, (this.internal.get(key) ?? 0) + 1)
  }

  #allBanks(allBanksBytes: number, flags: number): number {
    const { current } = this
    if (current === null) return 0
    const { offset, header } = current
    const hasItsSize = allBanksBytes === this.#left
    this.#bankCount = 0
    const isSound = hasItsSize && hasUsualFlags(flags)
    if (isSound) this.#idsWithBanks.add(header.id)
    this.#mayBeBare = !isSound && this.#isOfRun(header) && !this.#idsWithBanks.has(header.id)
    if (this.#mayBeBare && !hasItsSize && !hasUsualFlags(flags)) return this.#passOverBare(offset)
    this.#step = 'bank'
    this.#format = bankFormat(flags)
    this.#declaredLeft = allBanksBytes
    if (!hasUsualFlags(flags)) {
      if (this.ended) return this.#end('', '')
      this.warnings.add(
        'bank-flags',
        offset,
        (count) => `${count} events have bank flags that MIDAS does not write (the first at byte ${offset})`,
      )
    }
    if (!hasItsSize) {
      current.inconsistent = true
      this.warnings.add(
        'banks-size',
        offset,
        (count) =>
          `the size of all banks contradicts the event's in ${count} events (the first at byte ${offset})`,
      )
    }
    return 0
  }

  #bank(nameCode: number, type: number, sizeBytes: number): number {
    const offset = this.current?.offset ?? 0
    if (sizeBytes > this.#left)
      return this.#unreadable(
        () => `bank ${bankName(nameCode)} states ${sizeBytes} bytes, more than its event has left`,
        BANK_HEADER_BYTES[this.#format],
      )
    if (tidInfo(type) === undefined)
      this.warnings.add(
        'bank-type',
        offset,
        (count) =>
          `${count} banks of unknown type (the first, ${bankName(nameCode)}, in the event at byte ${offset})`,
      )
    if (!this.banks.add(nameCode, sizeBytes))
      this.warnings.add(
        'bank-names',
        offset,
        () => `more than ${MAX_BANK_NAMES} different bank names: those that came later are not counted`,
      )
    if (
      sizeBytes > 0 &&
      nameCode === DIGITIZER_HEADER &&
      this.digitizerHeader === null &&
      this.#newHeader === null
    ) {
      this.capture = new Capture(Math.min(sizeBytes, MAX_DIGITIZER_HEADER_BYTES))
      this.#newHeader = { type, capture: this.capture }
    }
    this.#bankCount += 1
    const camera = CAMERAS.get(nameCode)
    if (sizeBytes > 0 && camera !== undefined) this.#noteCamera(camera, sizeBytes, offset)
    const taken = Math.min(paddedBankBytes(sizeBytes), this.#left)
    this.#left -= taken
    this.#declaredLeft -= taken
    return taken
  }

  #noteCamera(camera: number, sizeBytes: number, offset: number): void {
    const known = this.cameraBytes.get(camera) ?? this.#newCameraBytes.get(camera)
    if (!this.#newCameraBytes.has(camera)) this.#newCameraBytes.set(camera, sizeBytes)
    if (known !== undefined && known !== sizeBytes)
      this.warnings.add(
        'camera-size',
        offset,
        (count) =>
          `the camera bank's size changes ${count} times (first in the event at byte ${offset}: ${sizeBytes} instead of ${known})`,
      )
  }

  /**
   * The banks are invalid from here on: skips the rest of the event. Harmless only after the declared end of
   * all banks.
   */
  #unreadable(reason: () => string, headerBytes: number): number {
    const { current } = this
    const surplus = this.#declaredLeft + headerBytes <= 0
    if (current !== null && !surplus) {
      const { offset, header } = current
      if (this.ended) return this.#end('', '')
      if (this.#mayBeBare && this.#bankCount === 0) return this.#passOverBare(offset)
      current.damaged = true
      this.damaged.add('event-damaged', offset, (count) =>
        count === 1
          ? `the event at byte ${offset} (id ${header.id}, serial number ${header.serial}) is damaged: ${reason()}`
          : `${count} events are damaged, the first at byte ${offset} (id ${header.id}, serial number ${header.serial}): ${reason()}`,
      )
    }
    return this.#skipRest()
  }

  #skipRest(): number {
    this.#step = 'event'
    const rest = this.#left
    this.#left = 0
    return rest
  }

  #isOfRun({ timeSeconds }: EventHeader): boolean {
    return !this.ended && Math.abs(timeSeconds - (this.#firstTime ?? timeSeconds)) < LONGEST_RUN_SECONDS
  }

  #passOverBare(offset: number): number {
    this.warnings.add(
      'event-without-banks',
      offset,
      (count) => `${count} events have no banks and are only counted (the first at byte ${offset})`,
    )
    return this.#skipRest()
  }

  /** Ends the walk at the current event; after the end of the run that is not a fault. */
  #end(code: string, message: string): number {
    const offset = this.current?.offset ?? 0
    if (this.ended) this.garbageOffset = offset
    else this.stop = { code, offset, message: `reading stopped at byte ${offset}: ${message}` }
    this.banks.rollback()
    this.#step = 'nothing'
    this.current = null
    return 0
  }
}
