// Shortcuts. They can be switched off, and do nothing while one types.
const pageKeys = {} // of this page alone
const places = { o: '/', r: '/runs', f: '/flows', e: '/environments' }
let leader = 0
const rows = () => [...document.querySelectorAll('[data-row]')]
function step(by) {
  const list = rows()
  const at = list.findIndex(row => row.contains(document.activeElement))
  const next = list[at < 0 ? (by > 0 ? 0 : list.length - 1) : Math.min(list.length - 1, Math.max(0, at + by))]
  next?.querySelector('a[href]')?.focus()
}
function onKey(event) {
  const { target, key } = event
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return
  if (target.closest?.('input, textarea, select, [contenteditable]')) {
    if (key === 'Escape') target.blur()
    return
  }
  if (document.querySelector('dialog[open]')) return
  let used = true
  if (leader && Date.now() - leader < 1500 && places[key]) location.href = base + places[key]
  else if (pageKeys[key]) pageKeys[key]()
  else if (key === 'j' || key === 'k') step(key === 'j' ? 1 : -1)
  else if (key === 'x') document.activeElement.closest('[data-row]')?.querySelector('input[type=checkbox]')?.click()
  else if (key === '?') document.getElementById('keys')?.showModal()
  else {
    const named = key.length === 1 && document.querySelector('[data-key="' + CSS.escape(key) + '"]')
    if (named?.matches('input')) named.select()
    else if (named) named.click()
    else used = false
  }
  leader = key === 'g' ? Date.now() : 0
  if (used) event.preventDefault()
}
if (!body.hasAttribute('data-nokeys')) document.addEventListener('keydown', onKey)
