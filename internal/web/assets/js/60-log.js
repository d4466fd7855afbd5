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

if (log) {
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
