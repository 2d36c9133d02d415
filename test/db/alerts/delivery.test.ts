/** From the request for an alert to its message, with a channel in memory. */
import { deliverySuite } from '../../support/alerts/delivery-suite.ts'
import { createMemoryChannel } from '../../support/alerts/memory-channel.ts'

deliverySuite('a channel in memory', createMemoryChannel)
