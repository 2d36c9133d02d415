/** catalog-api as AWS Lambda runs it. */
import { loadConfig } from '../../shared/config.ts'
import { createStorageContext } from '../../shared/runtime/context.ts'
import { lambdaHttp } from '../../shared/runtime/lambda.ts'
import { createHandler } from './handler.ts'

const context = createStorageContext(loadConfig(), 'catalog-api')

export const handler = lambdaHttp(createHandler(context))
