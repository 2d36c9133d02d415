/**
 * receive-notification as AWS Lambda runs it: it writes down and passes on, so its bundle carries no S3
 * client.
 */
import { loadConfig } from '../../shared/config/config.ts'
import { lambdaHttp } from '../../shared/runtime/lambda.ts'
import { createContext } from '../../shared/runtime/open-context.ts'
import { createHandler } from './handler.ts'

const context = createContext(loadConfig(), 'receive-notification')

export const handler = lambdaHttp(createHandler(context))
