/** Waveform digitizers: the DGH0 header bank and the DIG0 sample bank. */
export interface DigitizerBoard {
  readonly model: 1742 | 1720
  readonly samplesPerChannel: number
  readonly channels: number
  /** Triggers inside the event the header was read from. */
  readonly triggers: number
  readonly resolutionBits: number
  readonly samplingMHz: number
}
