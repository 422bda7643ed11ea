// BullMQ, on ioredis. The same roles as in harness.py, told and answered in the same way.

import { createRequire } from 'node:module'
import { setTimeout as sleep } from 'node:timers/promises'
import fs from 'node:fs'
import path from 'node:path'

const require = createRequire(path.join(process.env.BENCHMARK_HOME, 'here.js'))
const { Queue, QueueEvents, Worker } = require('bullmq')

const order = JSON.parse(process.argv[2])
const where = new URL(order.url)
const connection = { host: where.hostname, port: Number(where.port), maxRetriesPerRequest: null }
const options = order.results ? {} : { removeOnComplete: true }
const text = 'x'.repeat(order.size)
const monotonic = () => Number(process.hrtime.bigint()) / 1e9
const AT_ONCE = 100
const WARM = 1000

// Written some milliseconds after a job and not for each: a file costs more here than in Python.
const counts = { ran: 0, last: 0 }
const lateness = []
let tell = () => {}
let isAwaited = false

const tasks = {
  noop: (argument) => {
    counts.ran += 1
    counts.last = monotonic()
    if (!isAwaited) {
      isAwaited = true
      setTimeout(tell, 3)
    }
    return argument.length
  },
  stamp: () => monotonic(),
  late: (due) => {
    lateness.push(Date.now() / 1000 - due)
    return tasks.noop('')
  },
}

function work() {
  const file = fs.openSync(path.join(order.folder, `${process.pid}.count`), 'w+')
  const late = fs.openSync(path.join(order.folder, `${process.pid}.late`), 'w')
  tell = () => {
    isAwaited = false
    fs.writeSync(file, Buffer.from(new Float64Array([counts.ran, counts.last]).buffer), 0, 16, 0)
    if (lateness.length) {
      fs.writeSync(late, Buffer.from(new Float64Array(lateness.splice(0)).buffer))
    }
  }
  tell()
  const run = async (job) => tasks[job.name](job.data.argument)
  const worker = new Worker('bench', run, { connection, concurrency: order.concurrency })
  process.on('SIGTERM', async () => {
    await worker.close()
    process.exit(0)
  })
}

async function timed(act) {
  const cpu = process.cpuUsage()
  const began = monotonic()
  await act()
  const used = process.cpuUsage(cpu)
  return { seconds: monotonic() - began, cpu_s: (used.user + used.system) / 1e6 }
}

async function warm(some) {
  await some(WARM)
  return timed(() => some(order.count))
}

const job = (name, argument, more = {}) => ({ name, data: { argument }, opts: { ...options, ...more } })
const many = (queue, count, one) => {
  const thousands = Array.from({ length: Math.ceil(count / 1000) }, (_, n) => Math.min(1000, count - n * 1000))
  return thousands.reduce(
    (before, size) => before.then(() => queue.addBulk(Array.from({ length: size }, () => one))),
    Promise.resolve(),
  )
}

// A delay counts from the time stamp of its job.
const delayed = async (queue, name, argument) => {
  const timestamp = Date.now()
  const delay = Math.max(0, Math.round(order.at * 1000 - timestamp))
  await many(queue, order.count, job(name, argument, { delay, timestamp }))
  return {}
}

const roles = {
  one: (queue) => warm(async (count) => {
    for (let n = 0; n < count; n += 1) await queue.add('noop', { argument: text }, options)
  }),
  gather: (queue) => warm(async (count) => {
    for (let n = 0; n < count; n += AT_ONCE) {
      await Promise.all(Array.from({ length: AT_ONCE }, () => queue.add('noop', { argument: text }, options)))
    }
  }),
  many: (queue) => warm((count) => many(queue, count, job('noop', text))),
  fill: async (queue) => {
    await many(queue, order.count, job('noop', text))
    return {}
  },
  later: (queue) => delayed(queue, 'late', order.at),
  delayed: (queue) => delayed(queue, 'noop', text),
  latency: async (queue) => {
    const events = new QueueEvents('bench', { connection })
    await events.waitUntilReady()
    const starts = []
    const results = []
    for (let n = 0; n < order.count + 10; n += 1) {
      await sleep(order.pause_s * 1000)
      const sent = monotonic()
      const added = await queue.add('stamp', { argument: sent }, options)
      const begun = await added.waitUntilFinished(events)
      if (n >= 10) {
        starts.push(begun - sent)
        results.push(monotonic() - sent)
      }
    }
    await events.close()
    return { starts, results }
  },
}

if (order.role === 'work') {
  work()
} else {
  const queue = new Queue('bench', { connection })
  await queue.waitUntilReady()
  const told = await roles[order.role](queue)
  await queue.close()
  console.log(JSON.stringify(told))
  process.exit(0)
}
