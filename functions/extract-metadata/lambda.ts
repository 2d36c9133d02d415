/** extract-metadata as AWS Lambda runs it. */
import { loadConfig } from '../../shared/config/config.ts'
import { lambdaQueue } from '../../shared/runtime/lambda.ts'
import { createStorageContext } from '../../shared/runtime/open-context.ts'
import { createHandler } from './handler.ts'

const context = createStorageContext(loadConfig(), 'extract-metadata')

export const handler = lambdaQueue(createHandler(context), context.log)
