/** Reconstruction. */
import { setting, whole } from './setting.ts'

export const reco = {
  minimumEvents: setting(
    'CYGNET_RECO_MINIMUM_EVENTS',
    whole.default(10),
    'reconstruction is requested for runs with more trigger events than this',
  ),
} as const
