// A hill climber over numbers and choices, on opto_gym's protocol (docs/protocol.md): node 18, no dependencies.
const { OPTO_GYM_URL, OPTO_GYM_TOKEN } = process.env

async function ask(path, data) {
  const headers = { authorization: `Bearer ${OPTO_GYM_TOKEN}`, "content-type": "application/json" }
  const post = data && { method: "POST", body: JSON.stringify(data) }
  const answer = await fetch(OPTO_GYM_URL + path, { headers, ...post })
  const text = await answer.text()
  const reply = text ? JSON.parse(text) : {}
  if (reply.error?.code === "budget_exhausted") return { over: true }
  if (reply.error) throw new Error(`${path}: ${reply.error.code}: ${reply.error.message}`)
  return reply
}

const { problem, start, seed } = await ask("/task")
let state = seed
function random() { // mulberry32, from the trial's seed: Math.random() could not be run again
  state = (state + 0x6d2b79f5) | 0
  let t = Math.imul(state ^ (state >>> 15), state | 1)
  t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
}

function moved(value, { kind, low, high, integer, options }, step) {
  if (kind === "Choice") return random() < 0.5 ? value : options[Math.floor(random() * options.length)]
  if (kind !== "Number") throw new Error(`expected numbers and choices, got a parameter of kind ${kind}`)
  const to = value + (2 * random() - 1) * (integer ? Math.max(step, 1) : step)
  return Math.min(high ?? Infinity, Math.max(low ?? -Infinity, integer ? Math.round(to) : to))
}

const named = (value) => Object.fromEntries(problem.parameters.map((p) => [p.name, value(p)]))
let best = { parameters: named((p) => p.start), reward: start.reward }
for (let result = start, step = 1; !result.over; ) {
  const parameters = named((p) => moved(best.parameters[p.name], p.space, step))
  result = await ask("/evaluations", { parameters })
  step *= result.reward > best.reward ? 2 : 0.8
  if (result.reward > best.reward) best = { parameters, reward: result.reward }
}
await ask("/recommendation", { parameters: best.parameters })
