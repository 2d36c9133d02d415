/** Draws the charts of the page Replicas from the data in the page, in the colours of the theme. */
/* global uPlot */

const holder = document.querySelector('[data-charts]')
const data = JSON.parse(document.getElementById(holder.dataset.charts).textContent)
const HEIGHT = 220
const HALF_DAY = 43_200
const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB']

/** A canvas accepts colours, but no CSS variables. */
function colour(name) {
  const probe = document.createElement('span')
  probe.style.color = `var(${name})`
  holder.append(probe)
  const { color } = getComputedStyle(probe)
  probe.remove()
  return color
}

function bytes(value) {
  if (value === null || value === undefined) return '–'
  const power = value < 1000 ? 0 : Math.min(Math.floor(Math.log10(value) / 3), UNITS.length - 1)
  return `${Number((value / 1000 ** power).toPrecision(3))} ${UNITS[power]}`
}

const day = (seconds) => new Date(seconds * 1000).toISOString().slice(0, 10)
const percent = (value) => (value === null || value === undefined ? '–' : `${value} %`)

function axis(format, size) {
  const lines = { stroke: colour('--line'), width: 1 }
  return {
    stroke: colour('--quiet'),
    grid: lines,
    ticks: lines,
    size,
    values: (_, values) => values.map(format),
    font: '12px system-ui, sans-serif',
  }
}

const show = (value) => (_, shown) => value(shown)

function line(label, name, value, dash) {
  return {
    label,
    stroke: colour(name),
    width: 2,
    points: { show: data.days.length < 40, size: 5 },
    value: show(value),
    dash,
  }
}

function bar(label, name, value) {
  const bars = uPlot.paths.bars({ size: [0.7, 40] })
  return {
    label,
    stroke: colour(name),
    fill: colour(name),
    width: 0,
    paths: bars,
    points: { show: false },
    value: show(value),
  }
}

function draw(name, lines, values, format, scale) {
  const place = holder.querySelector(`[data-chart="${name}"]`)
  const options = {
    width: place.clientWidth,
    height: HEIGHT,
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), 'UTC'),
    cursor: { drag: { x: false, y: false } },
    // Half a day at both ends, so that bars are not cut off.
    scales: { x: { range: (_, first, last) => [first - HALF_DAY, last + HALF_DAY] }, y: scale },
    axes: [axis((seconds) => day(seconds).slice(5), 36), axis(format, 64)],
    series: [{ label: 'Day', value: (_, seconds) => (seconds === null ? '–' : day(seconds)) }, ...lines],
  }
  const chart = new uPlot(options, [data.days, ...values], place)
  new ResizeObserver(() => chart.setSize({ width: place.clientWidth, height: HEIGHT })).observe(place)
  return chart
}

function drawAll() {
  holder.hidden = false
  for (const place of holder.querySelectorAll('[data-chart]')) place.replaceChildren()
  const places = [line('Store', '--accent', bytes, [6, 4]), line('DAQ disk', '--ink', bytes, [2, 3])]
  const volumes = [bar('Taken', '--edge', bytes), bar('Tape', '--good', bytes), ...places]
  draw('volume', volumes, [data.taken, data.tape, data.cloud, data.local], bytes, {
    range: (_, __, most) => [0, Math.max(most, 1) * 1.05],
  })
  draw('share', [line('Verified on tape', '--good', percent)], [data.share], percent, { range: [0, 105] })
}

// A single day does not make a line.
if (data.days.length > 1 && data.taken.some((taken) => taken > 0)) {
  drawAll()
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', drawAll)
}
