// One menu of the bar is open at a time, and closes by Escape or a click beside it.
const menus = [...document.querySelectorAll('.bar details')]
document.addEventListener('click', event => { for (const m of menus) if (!m.contains(event.target)) m.open = false })
document.addEventListener('keydown', event => {
  for (const m of menus) if (event.key === 'Escape' && m.open) {
    m.open = false
    m.querySelector('summary').focus()
  }
})
for (const e of document.querySelectorAll('[data-submit]')) e.addEventListener('change', () => e.form.requestSubmit())
keepZone()
connect()
document.documentElement.dataset.ready = ''
