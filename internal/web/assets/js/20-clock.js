// Elapsed time counts here; the text is that of duration in moment.go.
function duration(ms) {
  const s = Math.max(0, ms) / 1000
  const two = (a, unit, b, small) => a + ' ' + unit + (b ? ' ' + b + ' ' + small : '')
  if (s < 9.95) return s.toFixed(1) + ' s'
  if (s < 59.5) return Math.round(s) + ' s'
  if (s < 3600) {
    const whole = Math.round(s)
    return whole === 3600 ? '1 h' : two(Math.floor(whole / 60), 'min', whole % 60, 's')
  }
  if (s < 86400) return two(Math.floor(s / 3600), 'h', Math.floor(s % 3600 / 60), 'min')
  return two(Math.floor(s / 86400), 'd', Math.floor(s % 86400 / 3600), 'h')
}
const ahead = Date.now() - body.dataset.now // of the server's clock
function tick() {
  const now = Date.now() - ahead
  for (const e of document.querySelectorAll('[data-since]')) {
    const ms = now - e.dataset.since
    const text = ms < 10000 ? Math.max(0, Math.round(ms / 1000)) + ' s' : duration(ms)
    if (e.textContent !== text) e.textContent = text
  }
}
if (document.querySelector('[data-since]') || body.dataset.live) setInterval(() => document.hidden || tick(), 1000)

// The browser's zone is kept for the server, which writes all times. A zone that a
// person has chosen stays.
function keepZone() {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone
  if (!zone || body.hasAttribute('data-chosen') || body.dataset.zone === zone) return
  const old = document.cookie.split('; ').find(c => c.startsWith('refline-view='))
  const values = new URLSearchParams(old ? old.slice(13) : '')
  if (values.get('zone') === zone) return
  values.set('zone', zone)
  document.cookie = 'refline-view=' + values + ';path=' + base + '/;max-age=31536000;samesite=lax'
  if (zone !== 'UTC' && document.querySelector('time') && document.cookie.includes('refline-view=')) location.reload()
}
