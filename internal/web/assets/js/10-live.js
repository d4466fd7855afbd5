// What changes while one looks at it. The server names the runs that changed; the page
// fetches its fragments again and takes over what differs.
const body = document.body
const base = body.dataset.base
const names = () => (body.dataset.fragments || '').split(' ').filter(Boolean)

// morph makes an element like another one and keeps what a person has in hand: focus,
// typed values, selection, scroll, open details.
function morph(from, to) {
  if (from.nodeType !== to.nodeType || from.nodeName !== to.nodeName || (from.id || '') !== (to.id || '')) {
    from.replaceWith(to)
    return
  }
  if (from.nodeType !== Node.ELEMENT_NODE) {
    if (from.nodeValue !== to.nodeValue) from.nodeValue = to.nodeValue
    return
  }
  if (from.isEqualNode(to) || from.hasAttribute('data-keep')) return
  const input = /^(INPUT|SELECT|TEXTAREA)$/.test(from.nodeName)
  if (input && (from === document.activeElement || from.value !== from.defaultValue || from.checked !== from.defaultChecked)) return
  for (const { name } of [...from.attributes]) {
    if (!to.hasAttribute(name) && !(from.nodeName === 'DETAILS' && name === 'open')) from.removeAttribute(name)
  }
  for (const { name, value } of [...to.attributes]) {
    if (from.getAttribute(name) !== value && !(from.nodeName === 'DETAILS' && name === 'open')) from.setAttribute(name, value)
  }
  if (input && from.nodeName !== 'SELECT') return
  morphChildren(from, to)
}

// morphChildren pairs children by id, and the others by their order.
function morphChildren(from, to) {
  const byId = new Map()
  for (const child of from.children) if (child.id) byId.set(child.id, child)
  let at = from.firstChild
  for (const next of [...to.childNodes]) {
    const known = next.id && byId.get(next.id)
    if (known) {
      if (known !== at) from.insertBefore(known, at)
      else at = at.nextSibling
      morph(known, next)
      continue
    }
    while (at && at.id && byId.has(at.id) && to.querySelector('#' + CSS.escape(at.id)) && !next.id) break
    if (at && !at.id && !next.id && at.nodeName === next.nodeName) {
      const here = at
      at = at.nextSibling
      morph(here, next)
    } else from.insertBefore(next, at)
  }
  while (at) {
    const gone = at
    at = at.nextSibling
    gone.remove()
  }
}

let asked = 0
let due = 0

// refresh fetches the fragments, at most twice a second.
function refresh() {
  if (due || !names().length) return
  due = setTimeout(load, Math.max(0, asked + 500 - Date.now()))
}

async function load() {
  asked = Date.now()
  due = 0
  try {
    const answer = await fetch(location.href, { headers: { 'Refline-Fragments': names().join(' ') }, redirect: 'error' })
    if (!answer.ok) throw new Error(answer.status)
    const parsed = new DOMParser().parseFromString(await answer.text(), 'text/html')
    for (const next of [...parsed.body.children]) {
      const here = document.getElementById(next.id)
      if (here) morph(here, document.importNode(next, true))
    }
    const head = document.querySelector('[data-title]')
    if (head) document.title = head.dataset.title
    tick()
    fresh()
  } catch { lost() }
}

// The line in the bar when the page may not be what is: for 15 seconds or more.
let since = 0
let stale = 0
function lost() {
  since ||= Date.now()
  stale ||= setTimeout(() => {
    const line = document.getElementById('stale')
    line.textContent = 'No connection since ' + new Date(since).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', second: '2-digit' })
    line.hidden = false
  }, 15000)
}
function fresh() {
  clearTimeout(stale)
  since = stale = 0
  document.getElementById('stale').hidden = true
}

let source
function connect() {
  if (source || !body.dataset.live || document.hidden) return
  const query = body.dataset.live === 'all' ? '' : '?' + body.dataset.live
  source = new EventSource(base + '/api/v1/events' + query)
  source.onopen = refresh // for what changed between the page, or the last event, and now
  source.addEventListener('run', event => {
    document.dispatchEvent(new CustomEvent('refline:run', { detail: JSON.parse(event.data) }))
    refresh()
  })
  source.addEventListener('missed', refresh)
  source.onerror = () => {
    lost()
    if (source && source.readyState === EventSource.CLOSED) {
      disconnect()
      setTimeout(connect, 5000)
    }
  }
}
function disconnect() {
  if (source) source.close()
  source = null
}
document.addEventListener('visibilitychange', () => document.hidden ? disconnect() : connect())
addEventListener('pagehide', disconnect)
addEventListener('pageshow', event => { if (event.persisted) connect() })
