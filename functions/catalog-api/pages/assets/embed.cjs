/**
 * Plugins of esbuild, as serverless-esbuild wants them. The one there is: the module that reads the assets is evaluated now, and
 * its value goes into the bundle.
 */
const { pathToFileURL } = require('node:url')

const embedAssets = {
  name: 'embed-assets',
  setup(build) {
    build.onLoad({ filter: /[\\/]pages[\\/]assets[\\/]files[.]ts$/ }, async ({ path }) => {
      const { FILES } = await import(pathToFileURL(path).href)
      return { contents: `export const FILES = ${JSON.stringify(FILES)}`, loader: 'js' }
    })
  },
}

module.exports = [embedAssets]
