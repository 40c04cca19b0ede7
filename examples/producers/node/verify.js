// Check a callback's signature as Standard Webhooks says, with Node alone.
//
//   WEBHOOK_ID=… WEBHOOK_TIMESTAMP=… WEBHOOK_SIGNATURE=… CALLBACK_SECRET=whsec_… node verify.js < body
//
// The headers and the body exactly as they came. Prints the event's type and receipt, or ends with 1 and the reason.
import { createHmac, timingSafeEqual } from "node:crypto";
import { readFileSync } from "node:fs";

const TOLERANCE_SECONDS = 300;

// Throw unless one of our secrets signed exactly this body, and just now.
export function verify({ id, timestamp, signature, secrets, body }) {
  if (!/^\d+$/.test(timestamp) || Math.abs(Date.now() / 1000 - Number(timestamp)) > TOLERANCE_SECONDS)
    throw new Error("its timestamp is missing or over five minutes off: it may be a replay");
  const signatures = signature.split(" ").map((each) => Buffer.from(each));
  const ours = secrets.split(" ").filter(Boolean).map((secret) => { // several while one is being replaced
    const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
    return Buffer.from("v1," + createHmac("sha256", key).update(`${id}.${timestamp}.`).update(body).digest("base64"));
  });
  const equal = (a, b) => a.length === b.length && timingSafeEqual(a, b);
  if (!ours.some((one) => signatures.some((other) => equal(one, other)))) throw new Error("no signature of it is ours");
}

const { WEBHOOK_ID: id, WEBHOOK_TIMESTAMP: timestamp, WEBHOOK_SIGNATURE: signature = "" } = process.env;
const secrets = process.env.CALLBACK_SECRET ?? "";
const body = readFileSync(0); // the bytes: JSON that was read and written again has another signature
try {
  verify({ id, timestamp, signature, secrets, body });
  const event = JSON.parse(body);
  console.log(event.type, event.subject); // drop what comes again (the same webhook-id), answer 204 within 10 s
} catch (error) {
  console.error(`not from payconfirm: ${error.message}`); // answer 400
  process.exitCode = 1;
}
