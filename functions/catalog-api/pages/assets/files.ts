/**
 * The files that browsers load, as text, read once at start-up. Since a bundle contains no other files, this
 * module is evaluated when the bundle is built and replaced by its value (embed.cjs).
 */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'

const own = (name: string) => readFileSync(new URL(name, import.meta.url), 'utf8')

/** The chart library, unmodified from its package. */
const { resolve } = createRequire(import.meta.url)

export const FILES: Readonly<Record<string, string>> = {
  'style.css': own('./style.css'),
  'cards.css': own('./cards.css'),
  'page.js': own('./page.js'),
  'live.js': own('./live.js'),
  'runs.js': own('./runs.js'),
  'charts.js': own('./charts.js'),
  'uplot.js': readFileSync(resolve('uplot/dist/uPlot.iife.min.js'), 'utf8'),
  'uplot.css': readFileSync(resolve('uplot/dist/uPlot.min.css'), 'utf8'),
}
