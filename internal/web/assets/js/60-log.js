// The log of a job: marked lines and following. Without this, lines are linked one by one
// and a link loads what is new.
const log = document.getElementById('log-lines')
const marked = () => /^#L(\d+)(?:-L(\d+))?$/.exec(location.hash)

// showMarked marks the lines that the address names and brings them into view.
function showMarked() {
  for (const line of log.querySelectorAll('.on')) line.classList.remove('on')
  const found = marked()
  if (!found) return
  const first = Math.min(found[1], found[2] || found[1])
  const last = Math.max(found[1], found[2] || found[1])
  if (first < +log.dataset.first || first > +log.dataset.last) {
    const at = new URL(location.href)
    const from = String(Math.max(1, first - 50))
    if (first > +log.dataset.total || at.searchParams.get('from') === from) return
    at.searchParams.set('from', from)
    location.replace(at)
    return
  }
  for (let n = first; n <= Math.min(last, +log.dataset.last); n++) document.getElementById('L' + n)?.classList.add('on')
  const line = document.getElementById('L' + first)
  for (let e = line?.parentElement; e && e !== log; e = e.parentElement) if (e.nodeName === 'DETAILS') e.open = true
  line?.scrollIntoView({ block: 'center' })
}

const atEnd = () => innerHeight + scrollY >= document.documentElement.scrollHeight - 60
let unread = 0

// follow adds new lines. The last one may have grown: it is fetched again.
async function follow() {
  if (!log.hasAttribute('data-follow')) return
  if (!document.hidden) try {
    const at = new URL(location.href)
    const last = +log.dataset.last
    at.searchParams.set('from', String(Math.max(1, last)))
    const answer = await fetch(at, { headers: { 'Refline-Fragments': 'log-lines log-state log-jobs' }, redirect: 'error' })
    if (!answer.ok) throw new Error(answer.status)
    const parsed = new DOMParser().parseFromString(await answer.text(), 'text/html')
    add(parsed.getElementById('log-lines'), last)
    for (const id of ['log-state', 'log-jobs']) morph(document.getElementById(id), document.importNode(parsed.getElementById(id), true))
    document.title = document.querySelector('[data-title]').dataset.title
    fresh()
  } catch { lost() }
  if (log.hasAttribute('data-follow')) setTimeout(follow, 1000)
}

function add(next, last) {
  const stays = atEnd()
  const grown = document.getElementById('L' + last)
  const same = next.querySelector('#L' + last)
  if (same && grown?.nodeName === same.nodeName) {
    grown.replaceWith(document.importNode(same, true))
    const holder = same.parentElement
    same.remove()
    if (!holder.children.length) holder.remove()
  }
  const count = next.querySelectorAll('.ln').length
  if (count) log.querySelector('.logempty')?.remove()
  for (const child of [...next.children]) if (count && !child.matches('.logempty')) log.append(document.importNode(child, true))
  for (const name of ['last', 'total']) if (+next.dataset[name] > +log.dataset[name]) log.dataset[name] = next.dataset[name]
  // No more lines stay than a page has.
  for (let lines = log.querySelectorAll('.ln').length; lines > 20000 && log.children.length > 1;) {
    lines -= log.firstElementChild.querySelectorAll('.ln').length
    log.firstElementChild.remove()
    log.dataset.first = log.querySelector('.ln').id.slice(1)
  }
  if (!+log.dataset.first) log.dataset.first = next.dataset.first
  if (!next.hasAttribute('data-follow')) log.removeAttribute('data-follow')
  const news = document.getElementById('log-news')
  unread = stays ? 0 : unread + count
  if (stays && count) scrollTo({ top: document.documentElement.scrollHeight, behavior: 'instant' })
  news.textContent = !log.hasAttribute('data-follow') ? 'The job is over.' : unread ? unread + ' new lines.' : 'The job runs.'
}

// The ruler shows the errors, warnings and matches of the whole log beside the scroll bar.
// Only the server knows them all.
const ruler = document.getElementById('log-ruler')
let ruled = 0 // lines when it was made
async function rule() {
  const total = +log.dataset.total
  if (!total || ruled === total) return
  ruled = total
  try {
    const answer = await fetch(location.pathname + location.search, { headers: { 'Refline-Fragments': 'log-ruler' }, redirect: 'error' })
    if (!answer.ok) return
    morph(ruler, document.importNode(new DOMParser().parseFromString(await answer.text(), 'text/html').getElementById('log-ruler'), true))
    showPart()
    ruler.dataset.ready = total
  } catch { ruled = 0 }
}

// showPart shows on the ruler which lines of the log this page has.
function showPart() {
  const { first, last, total } = log.dataset
  const here = ruler.querySelector('.here')
  const whole = +first <= 1 && last === total
  ruler.toggleAttribute('data-short', whole && log.offsetHeight < innerHeight) // all of it is in view
  here.setAttribute('y', whole ? 0 : 100 * (first - 1) / total + '%')
  here.setAttribute('height', whole ? 0 : 100 * (last - first + 1) / total + '%')
}

// here is the line that one reads: the marked one if it is in view, else the first.
function here() {
  const seen = e => { const r = e?.getBoundingClientRect(); return r && r.bottom > 0 && r.top < innerHeight }
  const on = log.querySelector('.ln.on')
  if (seen(on)) return +on.id.slice(1)
  const top = Math.max(log.getBoundingClientRect().top, document.querySelector('.logtools').getBoundingClientRect().bottom) + 12
  const line = document.elementFromPoint(log.getBoundingClientRect().left + 24, top)?.closest('.ln')
  return line ? +line.id.slice(1) : +log.dataset.first
}

const said = text => { document.getElementById('log-said').textContent = text }

// go jumps to the next line of a kind on the ruler, or to the one before.
function go(kind, back) {
  const name = kind === 'hit' ? 'match' : 'error'
  const lines = [...ruler.querySelectorAll('.' + kind)].map(e => +e.dataset.n)
  const marks = log.querySelector('.ln.on') ? here() : here() - 1 // the first in view counts too
  const next = back ? lines.findLast(n => n < marks) : lines.find(n => n > marks)
  if (!next) return said(lines.length ? 'No ' + name + (back ? ' before this line.' : ' after this line.') : kind === 'hit' ? 'Search the log first.' : 'No line reports an error.')
  location.hash = 'L' + next
  said('Line ' + next + ', ' + name + ' ' + (lines.indexOf(next) + 1) + ' of ' + lines.length + '.')
}

async function copyLink() {
  const at = new URL(location.href)
  if (!marked()) at.hash = 'L' + here()
  at.searchParams.delete('from')
  try {
    await navigator.clipboard.writeText(at.href)
    said('The link to the line is copied.')
  } catch {
    if (!marked()) location.hash = at.hash
    said('The link is in the address bar: this browser does not let the page copy it.')
  }
}

if (log) {
  Object.assign(pageKeys, { n: () => go('hit'), N: () => go('hit', true), e: () => go('bad'), E: () => go('bad', true), y: copyLink })
  ruler.addEventListener('click', event => {
    const box = ruler.getBoundingClientRect()
    const near = [...ruler.querySelectorAll('[data-n]')].map(e => [Math.abs(e.getBoundingClientRect().top - event.clientY), e.dataset.n]).sort((a, b) => a[0] - b[0])[0]
    const line = near && near[0] < 12 ? near[1] : Math.max(1, Math.round((event.clientY - box.top) / box.height * log.dataset.total))
    location.hash = 'L' + line
  })
  rule()
  setInterval(() => document.hidden || log.dataset.total > 200000 || rule(), 5000)
  addEventListener('hashchange', showMarked)
  log.addEventListener('click', event => {
    const number = event.target.closest('.n')
    const found = number && event.shiftKey && marked()
    if (!found) return
    event.preventDefault()
    location.hash = 'L' + found[1] + '-L' + number.dataset.n
  })
  showMarked()
  setTimeout(follow, 1000)
}
