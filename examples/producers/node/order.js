// Have the payment of one order confirmed over HTTP, with Node (18 or later) alone.
//
//   PAYCONFIRM_URL=http://127.0.0.1:8000 PAYCONFIRM_KEY=… node order.js RECEIPT_ID ORDER_ID AMOUNT
//
// Prints the result document. Ends with 0: confirmed; 3: rejected or voided; 2: refused; 4: no answer, nothing
// known. 1 is what a crash ends with, so it says nothing of the payment.
import { setTimeout as sleep } from "node:timers/promises";

const confirmations = `${process.env.PAYCONFIRM_URL}/v1/confirmations`;
const headers = { Authorization: `Bearer ${process.env.PAYCONFIRM_KEY}`, "Content-Type": "application/json" };
const TRIES = 30, PAUSE_SECONDS = 2, TIMEOUT_MS = 40_000;

class Refused extends Error {}

// Ask until the answer means something. After 429, 5xx and no answer at all the same request goes out again: the same
// document is the same job, and is never charged twice.
async function ask(url, document) {
  const request = document ? { method: "POST", body: JSON.stringify(document) } : {};
  for (let tries = 0; tries < TRIES; tries++) {
    let answer, said;
    try {
      answer = await fetch(url, { ...request, headers, signal: AbortSignal.timeout(TIMEOUT_MS) });
      said = await answer.json();
    } catch (error) {
      console.error(`no answer: ${error.cause?.message ?? error.message}`);
    }
    if (said && answer.ok) return said;
    if (said && answer.status !== 429 && answer.status < 500) throw new Refused(explain(answer.status, said));
    await sleep(1000 * (answer?.headers.get("Retry-After") ?? PAUSE_SECONDS));
  }
  throw new Error("still no answer: send the same order again later, and tell the buyer neither yes nor no");
}

function explain(status, { detail, errors = [] }) {
  return [`${status} ${detail}`, ...errors.map(({ field, message }) => `  ${field} ${message}`)].join("\n");
}

function usage(wrong) {
  console.error(`usage: PAYCONFIRM_URL=http://127.0.0.1:8000 PAYCONFIRM_KEY=… node order.js RECEIPT_ID ORDER_ID AMOUNT\n${wrong}`);
  process.exit(2);
}

const [receipt_id, order_id, amount, ...more] = process.argv.slice(2);
if (amount === undefined || more.length) usage("three arguments are needed");
if (!/^-?\d+$/.test(amount) || !Number.isSafeInteger(Number(amount))) usage("AMOUNT isn't a whole number of won");
if (!/^https?:\/\/./.test(process.env.PAYCONFIRM_URL)) usage("PAYCONFIRM_URL is missing or isn't http://…");
if (!process.env.PAYCONFIRM_KEY) usage("PAYCONFIRM_KEY is missing");
const order = { receipt_id, order_id, amount: Number(amount) };
try {
  let result = await ask(confirmations, order);
  while (!result.final) result = await ask(`${confirmations}/${receipt_id}?wait=25`);
  if (result.order_id !== order.order_id || result.amount !== order.amount)
    throw new Refused(`not shipped: the receipt belongs to ${result.order_id}, ${result.amount}`);
  console.log(JSON.stringify(result));
  process.exitCode = result.state === "confirmed" ? 0 : 3;
} catch (error) {
  console.error(error.message);
  process.exitCode = error instanceof Refused ? 2 : 4;
}
