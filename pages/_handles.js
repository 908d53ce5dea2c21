// A row of handles that are dragged up and down, or moved with the arrow keys: a curve drawn by hand, or numbers
// that stand side by side. Dragging across draws all handles that are passed.
const ABOVE = 2.5, BELOW = 2, TYPE_PX = 12, SEND_MS = 120 // room over and under the handles, in lines of type

const seen = new WeakMap()

export default function ({ data, parentElement, setStateValue }) {
  const root = parentElement.querySelector("#handles")
  const state = seen.get(parentElement) ?? {}
  seen.set(parentElement, state)
  // While somebody drags, what the page sends back is older than what is on the screen.
  if (!state.dragging) state.values = [...data.values]
  const type = TYPE_PX * data.scale, height = data.height * data.scale, top = ABOVE * type
  root.style.height = `${height}px`
  root.style.fontSize = `${type}px`

  const room = height - top - BELOW * type
  const y = value => top + (1 - (value - data.low) / (data.high - data.low)) * room
  const held = value => Math.min(data.high, Math.max(data.low, Math.round(value / data.step) * data.step))
  const said = value => `${(value * data.factor).toFixed(data.digits)}${data.unit}`

  const send = () => {
    clearTimeout(state.waiting)
    state.waiting = setTimeout(() => setStateValue("values", state.values), SEND_MS)
  }

  const show = () => {
    state.values.forEach((value, place) => {
      const handle = root.querySelectorAll(".handle")[place]
      const zero = y(Math.max(data.low, 0)), end = y(value)
      handle.querySelector(".knob").style.top = `${end}px`
      handle.querySelector(".number").style.top = `${end}px`
      handle.querySelector(".number").textContent = said(value)
      handle.querySelector(".bar").style.top = `${Math.min(zero, end)}px`
      handle.querySelector(".bar").style.height = `${Math.abs(zero - end)}px`
      handle.setAttribute("aria-valuenow", value)
      handle.setAttribute("aria-valuetext", said(value))
    })
    const width = 1000 / state.values.length
    const spots = state.values.map((value, place) => `${(place + 0.5) * width},${y(value)}`)
    root.querySelector("svg").setAttribute("viewBox", `0 0 1000 ${height}`)
    root.querySelector("polyline").setAttribute("points", data.joined ? spots.join(" ") : "")
  }

  const make = (name, place) => {
    const handle = document.createElement("div")
    handle.className = "handle"
    handle.style.left = `${(place * 100) / data.names.length}%`
    handle.style.width = `${100 / data.names.length}%`
    handle.tabIndex = 0
    handle.setAttribute("role", "slider")
    handle.setAttribute("aria-label", `${data.what} at ${name}`)
    handle.setAttribute("aria-orientation", "vertical")
    handle.setAttribute("aria-valuemin", data.low)
    handle.setAttribute("aria-valuemax", data.high)
    handle.innerHTML = `<i class="bar"></i><i class="knob"></i><span class="number"></span><span class="name"></span>`
    handle.querySelector(".name").textContent = name
    handle.querySelector(".bar").hidden = data.joined
    handle.onkeydown = event => {
      const steps = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: 10, PageDown: -10 }[event.key]
      if (!steps) return
      state.values[place] = held(state.values[place] + steps * data.step)
      event.preventDefault()
      event.stopPropagation()
      show()
      send()
    }
    return handle
  }

  const drawn = event => {
    const box = root.getBoundingClientRect()
    const place = Math.floor(((event.clientX - box.left) / box.width) * state.values.length)
    if (place < 0 || place >= state.values.length) return
    const part = 1 - (event.clientY - box.top - top) / room
    state.values[place] = held(data.low + part * (data.high - data.low))
    show()
    send()
  }

  root.onpointerdown = event => {
    state.dragging = true
    root.setPointerCapture(event.pointerId)
    drawn(event)
  }
  root.onpointermove = event => state.dragging && drawn(event)
  root.onpointerup = root.onpointercancel = () => (state.dragging = false)

  const marks = root.querySelector("#marks")
  // Made once: a new handle in the place of the one in use would not have its focus.
  if (marks.children.length !== data.names.length) marks.replaceChildren(...data.names.map(make))
  show()
}
