// Parallel coordinates: a line for every trial across all axes. Dragging along an axis brushes it;
// what lies outside any brush fades, and the brushes go back to the page, which filters by them.
// Here a brush is two positions from 0 to 1. The page knows it by the values at its ends or the words
// that it covers, so that it keeps its meaning when a new trial makes an axis longer.
const TOP = 40, BOTTOM = 26, LEFT = 30, RIGHT = 74, NEAR = 0.03

const seen = new WeakMap()

const value = (axis, place) => {
  if (place <= 0) return axis.low
  if (place >= 1) return axis.high
  return axis.log ? axis.low * (axis.high / axis.low) ** place : axis.low + place * (axis.high - axis.low)
}

const position = (axis, value) => {
  if (axis.low === axis.high) return 0.5
  const part = axis.log
    ? Math.log(value / axis.low) / Math.log(axis.high / axis.low)
    : (value - axis.low) / (axis.high - axis.low)
  return Math.min(1, Math.max(0, part))
}

const told = (axis, [low, high]) => {
  if (axis.kind === "number") return [value(axis, low), value(axis, high)]
  const covered = axis.ticks.filter(([place]) => place >= low && place <= high)
  const away = ([place]) => Math.abs(place - (low + high) / 2)
  const words = covered.length ? covered : [[...axis.ticks].sort((a, b) => away(a) - away(b))[0]]
  return words.map(([, word]) => word)
}

const gap = axis => 1 / Math.max(1, axis.ticks.length - 1)

const placed = (axis, allowed) => {
  if (axis.kind === "number") return allowed.map(one => position(axis, one))
  const places = axis.ticks.filter(([, word]) => allowed.includes(word)).map(([place]) => place)
  const room = gap(axis) / 4
  return places.length ? [Math.max(0, Math.min(...places) - room), Math.min(1, Math.max(...places) + room)] : [0, 0]
}

export default function ({ data, parentElement, setStateValue }) {
  const root = parentElement.querySelector("#paths")
  const canvas = root.querySelector("canvas")
  const marks = root.querySelector("#marks")
  const state = seen.get(parentElement) ?? {}
  seen.set(parentElement, state)
  const brushed = data.axes.filter(axis => axis.key in data.brushes)
  const brushes = Object.fromEntries(brushed.map(axis => [axis.key, placed(axis, data.brushes[axis.key])]))
  Object.assign(state, { data, brushes })

  const apart = () => (state.width - LEFT - RIGHT) / Math.max(1, data.axes.length - 1)
  const x = place => LEFT + place * apart()
  const y = at => TOP + (1 - at) * (data.height - TOP - BOTTOM)
  const at = pixel => {
    const part = 1 - (pixel - TOP) / (data.height - TOP - BOTTOM)
    return part < NEAR ? 0 : part > 1 - NEAR ? 1 : part // an end is meant by whoever comes near it
  }
  const colour = name => getComputedStyle(root).getPropertyValue(name).trim()

  const inside = row =>
    data.axes.every((axis, place) => {
      const brush = state.brushes[axis.key]
      return !brush || (row[place] !== null && row[place] >= brush[0] - 1e-6 && row[place] <= brush[1] + 1e-6)
    })

  const line = (pen, row) => {
    let drawing = false
    row.forEach((value, place) => {
      if (value === null) return // an axis of another recipe: the line passes it by
      if (drawing) pen.lineTo(x(place), y(value))
      else pen.moveTo(x(place), y(value))
      drawing = true
    })
  }

  const count = words => {
    root.querySelector("#count").textContent = words
  }

  const drawLines = () => {
    const ratio = window.devicePixelRatio || 1
    canvas.width = state.width * ratio
    canvas.height = data.height * ratio
    canvas.style.height = `${data.height}px`
    const pen = canvas.getContext("2d")
    pen.scale(ratio, ratio)
    const any = Object.keys(state.brushes).length > 0
    const [chosen, others] = [[], []]
    data.rows.forEach(row => (inside(row) ? chosen : others).push(row))
    const many = Math.min(1, Math.max(0.12, 60 / Math.max(1, chosen.length)))
    for (const [rows, alpha, width, name] of [
      [any ? others : [], Math.min(0.15, 30 / Math.max(1, others.length)), 1, "--st-text-color"],
      [chosen, many, 1.3, "--st-primary-color"],
    ]) {
      pen.globalAlpha = alpha
      pen.lineWidth = width
      pen.strokeStyle = colour(name)
      for (const row of rows) {
        pen.beginPath()
        line(pen, row)
        pen.stroke()
      }
    }
    for (const row of data.marked) {
      pen.globalAlpha = 1
      pen.lineWidth = 3
      pen.strokeStyle = colour("--st-text-color")
      pen.beginPath()
      line(pen, row)
      pen.stroke()
    }
    count(state.brushing ? `${chosen.length} of ${data.rows.length} trials` : "")
  }

  const send = () => {
    const axes = data.axes.filter(axis => axis.key in state.brushes)
    setStateValue("brushes", Object.fromEntries(axes.map(axis => [axis.key, told(axis, state.brushes[axis.key])])))
  }

  const place = (axis, number) => {
    const group = document.createElement("div")
    group.className = "axis"
    group.style.left = `${x(number)}px`
    group.tabIndex = 0
    group.setAttribute("role", "group")
    group.setAttribute("aria-label", `${axis.label}: drag to filter; arrow keys move the lower end, with shift the upper end, delete clears`)
    group.innerHTML = `<span class="name"></span><i class="rule"></i><i class="brush" hidden></i>`
    const name = group.querySelector(".name")
    name.textContent = name.title = axis.label
    name.style.width = `${Math.min(130, apart() - 6)}px`
    name.classList.toggle("first", number === 0)
    const rule = group.querySelector(".rule")
    rule.style.top = `${TOP}px`
    rule.style.height = `${data.height - TOP - BOTTOM}px`
    for (const [height, text] of axis.ticks) {
      const tick = document.createElement("span")
      tick.className = "tick"
      tick.textContent = tick.title = text
      tick.style.top = `${y(height)}px`
      if (number < data.axes.length - 1) tick.style.maxWidth = `${apart() - 14}px` // up to the next axis
      group.append(tick)
    }
    listen(group, axis)
    return group
  }

  const show = (group, axis) => {
    const brush = group.querySelector(".brush"), range = state.brushes[axis.key]
    brush.hidden = !range
    if (range) {
      brush.style.top = `${y(range[1])}px`
      brush.style.height = `${Math.max(2, y(range[0]) - y(range[1]))}px`
    }
  }

  const listen = (group, axis) => {
    let start = null
    const height = event => event.clientY - root.getBoundingClientRect().top
    group.onpointerdown = event => {
      start = height(event)
      state.brushing = true
      group.setPointerCapture(event.pointerId)
    }
    group.onpointermove = event => {
      if (start === null) return
      const ends = [at(start), at(height(event))].sort((a, b) => a - b)
      if (Math.abs(height(event) - start) > 3) state.brushes[axis.key] = ends
      show(group, axis)
      drawLines()
    }
    group.onpointerup = event => {
      if (start === null) return
      const clicked = Math.abs(height(event) - start) <= 3
      if (clicked) delete state.brushes[axis.key]
      start = null
      state.brushing = false
      send()
      show(group, axis)
      count("")
      if (clicked) requestAnimationFrame(drawLines) // after a drag the lines are as they should be
    }
    group.onkeydown = event => {
      const step = { ArrowUp: 1, ArrowDown: -1 }[event.key] * (axis.kind === "number" ? 0.05 : gap(axis))
      const range = [...(state.brushes[axis.key] ?? [0, 1])]
      if (event.key === "Delete" || event.key === "Backspace") delete state.brushes[axis.key]
      else if (step) {
        const end = event.shiftKey ? 1 : 0
        range[end] = Math.min(1, Math.max(0, range[end] + step))
        state.brushes[axis.key] = range[0] <= range[1] ? range : [range[end], range[end]]
      } else return
      event.preventDefault()
      event.stopPropagation()
      show(group, axis)
      drawLines()
      clearTimeout(state.waiting)
      state.waiting = setTimeout(send, 400)
    }
  }

  const draw = () => {
    state.width = root.clientWidth // asked for once: each answer makes the browser lay out the page
    if (!state.width) return
    const focused = [...marks.children].indexOf(root.getRootNode().activeElement)
    root.style.height = `${data.height}px`
    marks.replaceChildren(...data.axes.map(place))
    data.axes.forEach((axis, number) => show(marks.children[number], axis))
    if (focused >= 0) marks.children[focused]?.focus()
    drawLines()
  }

  state.watch?.disconnect()
  state.watch = new ResizeObserver(() => root.clientWidth !== state.width && draw())
  state.watch.observe(root)
  draw()
  return () => state.watch.disconnect()
}
