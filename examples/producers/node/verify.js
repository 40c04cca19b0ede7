// Check a callback's signature as Standard Webhooks says, with Node alone.
//
//   WEBHOOK_ID=… WEBHOOK_TIMESTAMP=… WEBHOOK_SIGNATURE=… CALLBACK_SECRET=whsec_… node verify.js < body
//
// The headers and the body exactly as they came. Prints the event's type and receipt and ends with 0; with 1: it isn't
// payconfirm's; 2: it can't be checked, as a variable is missing or the secret is none.
import { createHmac, timingSafeEqual } from "node:crypto";
import { readFileSync } from "node:fs";

const TOLERANCE_SECONDS = 300;

class NotOurs extends Error {}

// The secrets' keys. Without one, or with an empty one, anybody could sign.
function keys(secrets) {
  const found = secrets.split(" ").filter(Boolean).map((secret) => {
    const encoded = /^whsec_([A-Za-z0-9+/]*)={0,2}$/.exec(secret)?.[1] ?? "";
    const key = Buffer.from(encoded, "base64");
    if (encoded.length % 4 === 1 || key.length < 24 || key.length > 64)
      throw new Error("each secret in CALLBACK_SECRET is whsec_ and the base64 of 24 to 64 bytes");
    return key;
  });
  if (!found.length) throw new Error("CALLBACK_SECRET is missing");
  return found;
}

// Throw NotOurs unless one of our secrets signed exactly this body, and just now.
export function verify({ id, timestamp, signature, secrets, body }) {
  const known = keys(secrets);
  if (!/^\d+$/.test(timestamp) || Math.abs(Date.now() / 1000 - Number(timestamp)) > TOLERANCE_SECONDS)
    throw new NotOurs("its timestamp is missing or over five minutes off: it may be a replay");
  const signatures = signature.split(" ").map((each) => Buffer.from(each));
  const ours = known.map((key) => // several while one is being replaced
    Buffer.from("v1," + createHmac("sha256", key).update(`${id}.${timestamp}.`).update(body).digest("base64")));
  const equal = (a, b) => a.length === b.length && timingSafeEqual(a, b);
  if (!ours.some((one) => signatures.some((other) => equal(one, other)))) throw new NotOurs("no signature of it is ours");
}

function variable(name) {
  if (process.env[name] === undefined) throw new Error(`${name} is missing`);
  return process.env[name];
}

const body = readFileSync(0); // the bytes: JSON that was read and written again has another signature
try {
  const [id, timestamp, signature] = ["ID", "TIMESTAMP", "SIGNATURE"].map((name) => variable(`WEBHOOK_${name}`));
  verify({ id, timestamp, signature, secrets: variable("CALLBACK_SECRET"), body });
  const event = JSON.parse(body);
  console.log(event.type, event.subject); // drop what comes again (the same webhook-id), answer 204 within 10 s
} catch (error) {
  const forged = error instanceof NotOurs; // answer 400; else 500: it comes again
  console.error(`${forged ? "not from payconfirm" : "can't check"}: ${error.message}`);
  process.exitCode = forged ? 1 : 2;
}
