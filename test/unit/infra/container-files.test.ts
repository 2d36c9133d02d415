/** The files for OpenFaaS and Knative name existing functions, settings and secrets. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { parse, parseAllDocuments } from 'yaml'
import * as z from 'zod'
import { readManifest } from '../../../infra/local/manifest.ts'
import { concerns } from '../../../shared/config/config.ts'
import type { Setting } from '../../../shared/config/setting.ts'

const read = (path: string) =>
  readFileSync(fileURLToPath(new URL(`../../../infra/${path}`, import.meta.url)), 'utf8')
const settings = Object.values(concerns).flatMap((settings) => Object.values<Setting>(settings))
const httpFunctions = readManifest().functions.filter(({ trigger }) => trigger.kind === 'http')

/** Knative's queue-proxy needs 31 s to end, in the grace period that the timeout is, too. */
const LEAST_KNATIVE_GRACE_SECONDS = 36

interface Deployed {
  readonly name: string
  readonly image: string
  /** Files of secrets are in the folders of the platform. */
  readonly secretFolder: RegExp
  readonly secrets: readonly string[] | null
  readonly environment: Readonly<Record<string, string>>
  readonly timeoutSeconds: number | null
}

const stack = z
  .object({
    functions: z.record(
      z.string(),
      z.object({
        image: z.string(),
        environment: z.record(z.string(), z.string()),
        secrets: z.array(z.string()),
      }),
    ),
  })
  .parse(parse(read('openfaas/stack.yml')))
const onOpenFaas: readonly Deployed[] = Object.entries(stack.functions).map(
  ([name, { image, environment, secrets }]) => ({
    name,
    image,
    environment,
    secrets,
    secretFolder: /^\/var\/openfaas\/secrets\/([a-z0-9-]+)$/,
    timeoutSeconds: null,
  }),
)

const service = z.object({
  metadata: z.object({ name: z.string() }),
  spec: z.object({
    template: z.object({
      spec: z.object({
        timeoutSeconds: z.number(),
        containers: z.tuple([
          z.object({
            image: z.string(),
            readinessProbe: z.object({ httpGet: z.object({ path: z.literal('/healthz') }) }),
            env: z.array(z.object({ name: z.string(), value: z.string() })),
            volumeMounts: z.tuple([z.object({ mountPath: z.literal('/secrets') })]),
            // Without these two the cluster's admission warns.
            securityContext: z.looseObject({
              capabilities: z.object({ drop: z.tuple([z.literal('ALL')]) }),
              seccompProfile: z.object({ type: z.literal('RuntimeDefault') }),
            }),
          }),
        ]),
      }),
    }),
  }),
})
const onKnative: readonly Deployed[] = parseAllDocuments(read('knative/http-functions.yaml')).map(
  (document) => {
    const { metadata, spec } = service.parse(document.toJS())
    const [container] = spec.template.spec.containers
    return {
      name: metadata.name,
      image: container.image,
      secretFolder: /^\/secrets\/([a-z0-9-]+)$/,
      secrets: null,
      environment: Object.fromEntries(container.env.map(({ name, value }) => [name, value])),
      timeoutSeconds: spec.template.spec.timeoutSeconds,
    }
  },
)

describe.each([
  { platform: 'OpenFaaS', deployed: onOpenFaas },
  { platform: 'Knative', deployed: onKnative },
])('$platform', ({ deployed }) => {
  test('the files for OpenFaaS and Knative have every HTTP function of the manifest', () => {
    expect(deployed.map(({ name }) => name).toSorted()).toEqual(
      httpFunctions.map(({ name }) => name).toSorted(),
    )
  })

  test.each(deployed)(
    '$name: its image, its settings and its secrets are those there are',
    ({ name, ...function_ }) => {
      expect(function_.image).toContain(`/${name}:`)
      const named: string[] = []
      for (const [variable, value] of Object.entries(function_.environment)) {
        const setting = settings.find((known) => known.variable === variable.replace(/_FILE$/, ''))
        if (setting === undefined) throw new Error(`there is no setting ${variable}`)
        if (setting.secret) expect(variable, 'a secret comes from a file').toMatch(/_FILE$/)
        if (variable.endsWith('_FILE'))
          named.push(function_.secretFolder.exec(value)?.[1] ?? `${variable}=${value}`)
        else expect(setting.schema.safeParse(value).success, variable).toBe(true)
      }
      if (function_.secrets !== null) expect(named.toSorted()).toEqual(function_.secrets.toSorted())
      expect(named.every((secret) => /^[a-z0-9-]+$/.test(secret))).toBe(true)
      const limit = httpFunctions.find((entry) => entry.name === name)?.timeoutSeconds ?? 0
      if (function_.timeoutSeconds !== null)
        expect(function_.timeoutSeconds).toBeGreaterThanOrEqual(Math.max(limit, LEAST_KNATIVE_GRACE_SECONDS))
    },
  )
})

test('the image runs the file that the package writes, and the builder gets only these files', () => {
  expect(read('docker/Dockerfile')).toMatch(/ dist\/containers\/[$]{FUNCTION}[.]cjs /)
  expect(read('docker/Dockerfile.dockerignore').trim().split('\n')).toEqual(['*', '!dist/containers/*.cjs'])
})
