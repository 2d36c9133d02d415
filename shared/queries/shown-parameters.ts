/**
 * The parameters of a run that are shown and searched. Excluded are the storage statuses of the ODB: they are
 * written at the begin of run, when the run is stored nowhere; the current state is in `storage`. Pure.
 */

import { type RunlogColumn, runlogColumns } from '../extraction/run-parameters.ts'

/** True for `storage_cloud_status` and similar. */
export const isStorageStatus = (name: string): boolean => /^storage_\w+_status$/i.test(name)

/** In the order of the Runlog. */
export const shownColumns: readonly RunlogColumn[] = runlogColumns.filter(
  ({ name }) => !isStorageStatus(name),
)

export const shownParameters = <T>(parameters: Readonly<Record<string, T>>): Readonly<Record<string, T>> =>
  Object.fromEntries(Object.entries(parameters).filter(([name]) => !isStorageStatus(name)))
