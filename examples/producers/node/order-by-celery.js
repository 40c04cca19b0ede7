// Have the payment of one order confirmed straight through the Redis broker, with the npm package celery-node.
//
//   BROKER_URL=redis://127.0.0.1 REDIS_URL=redis://127.0.0.1 node order-by-celery.js RECEIPT_ID ORDER_ID AMOUNT
//
// Prints the result document. Ends with 0: confirmed; 3: rejected or voided; 2: refused; 4: no answer, nothing
// known. 1 is what a crash ends with, so it says nothing of the payment.
import { setTimeout as sleep } from "node:timers/promises";
import celery from "celery-node";

const QUEUE = "payconfirm", TASK = "payconfirm.confirm", POLL_MS = 250;

class Refused extends Error {}

// Resolves once the broker has it. client.sendTask() does the same, but waits for nothing and loses every error.
async function send(client, taskId, order) {
  const { body, headers, properties } = client.createTaskMessage(taskId, TASK, [order], {});
  await client.isReady();
  await client.broker.publish(body, "", QUEUE, headers, properties);
}

// The stored result, there once it is final. client.asyncResult(taskId).get() polls, too, but falls over a lost Redis.
async function result(client, taskId) {
  for (;;) {
    const meta = await client.backend.getTaskMeta(taskId);
    if (meta?.status === "FAILURE") throw new Refused(`${meta.result.exc_type}: ${meta.result.exc_message}`);
    if (meta) return meta.result;
    await sleep(POLL_MS);
  }
}

function usage(wrong) {
  console.error(`usage: BROKER_URL=redis://127.0.0.1 REDIS_URL=redis://127.0.0.1 node order-by-celery.js RECEIPT_ID ORDER_ID AMOUNT\n${wrong}`);
  process.exit(2);
}

const [receipt_id, order_id, amount, ...more] = process.argv.slice(2);
if (amount === undefined || more.length) usage("three arguments are needed");
if (!/^-?\d+$/.test(amount) || !Number.isSafeInteger(Number(amount))) usage("AMOUNT isn't a whole number of won");
for (const name of ["BROKER_URL", "REDIS_URL"])
  if (!/^rediss?:\/\/./.test(process.env[name])) usage(`${name} is missing or isn't redis://…`);
const order = { receipt_id, order_id, amount: Number(amount) };
const taskId = `payconfirm-${receipt_id}`;
const client = celery.createClient(process.env.BROKER_URL, process.env.REDIS_URL, QUEUE);
for (const { redis } of [client.broker, client.backend]) redis.on("error", ({ message }) => console.error(message));
try {
  await send(client, taskId, order); // after an error send it again: the same document is the same job
  const found = await result(client, taskId);
  // A different document of a used receipt is refused out of sight here: what is polled is then the first one's result.
  if (found.order_id !== order.order_id || found.amount !== order.amount)
    throw new Refused(`not shipped: the receipt belongs to ${found.order_id}, ${found.amount}`);
  console.log(JSON.stringify(found));
  process.exitCode = found.state === "confirmed" ? 0 : 3;
} catch (error) {
  console.error(error.message);
  process.exitCode = error instanceof Refused ? 2 : 4;
}
for (const { redis } of [client.broker, client.backend]) redis.disconnect();
