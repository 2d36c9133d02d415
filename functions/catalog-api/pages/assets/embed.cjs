/**
 * Plugins of esbuild, as serverless-esbuild wants them. The one there is: the modules that read files are
 * evaluated now, and what they export goes into the bundle.
 */
const { pathToFileURL } = require('node:url')

const embedAssets = {
  name: 'embed-assets',
  setup(build) {
    build.onLoad({ filter: /[\\/]pages[\\/]assets[\\/](?:files|snippets)[.]ts$/ }, async ({ path }) => {
      const values = Object.entries(await import(pathToFileURL(path).href))
      return {
        contents: values.map(([name, value]) => `export const ${name} = ${JSON.stringify(value)}`).join('\n'),
        loader: 'js',
      }
    })
  },
}

module.exports = [embedAssets]
