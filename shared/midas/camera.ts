/** Camera frames: the CAM0 bank. */
export interface CameraShape {
  readonly model: 'ORCA Fusion' | 'ORCA Flash' | 'ORCA Quest' | 'unknown'
  readonly width: number
  readonly height: number
  /** Of one frame. */
  readonly sizeBytes: number
}
