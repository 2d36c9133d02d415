/** The address of the client of a request, for limits by address. */
import { clientAddress } from '../../../shared/runtime/client-address.ts'
import type { ApiContext } from '../http/route.ts'

/** Null where the host does not provide it. */
export type AddressOf = (c: ApiContext) => string | null

/** @param proxies in front of the service. */
export const createAddressOf =
  (proxies: number): AddressOf =>
  (c) =>
    clientAddress(c.env?.clientAddress, c.req.header('x-forwarded-for'), proxies)
