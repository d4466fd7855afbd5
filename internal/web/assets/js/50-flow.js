// The form of a flow: the command that does the same follows what is typed.
const runForm = document.getElementById('run')
const quoted = word => /^[a-zA-Z0-9_.\/:@%+=,-]+$/.test(word) ? word : "'" + word.replaceAll("'", "'\\''") + "'"
function showCommand() {
  const { command, ref, option } = runForm.dataset
  let out = command
  const typed = runForm.elements.ref?.value.trim() || ''
  if (typed === ref) out += option
  else if (typed) out += (/^[0-9a-f]{40}$/.test(typed) ? ' --commit ' : ' --branch ') + quoted(typed)
  for (const e of runForm.elements) {
    if (!e.name.startsWith('in.')) continue
    const value = e.type === 'checkbox' ? String(e.checked) : e.value
    if (value !== e.dataset.usual) out += ' --input ' + quoted(e.name.slice(3) + '=' + value)
  }
  for (const [name, flag] of [['others', ' --input '], ['variables', ' --var ']])
    for (const line of (runForm.elements[name]?.value || '').split('\n')) if (line.includes('=')) out += flag + quoted(line)
  document.getElementById('run-command').textContent = out
}
runForm?.addEventListener('input', showCommand)
