"use strict";
// Follows payconfirm's feed over HTTP: every event, in order, from where it last was. Needs Node and nothing else.
//
//     PAYCONFIRM_URL=http://localhost:8000 PAYCONFIRM_KEY=… node feed.js
//
// Results are written to shop.jsonl in the current folder (SHOP_FILE), the cursor with the event that it came with: so after a
// crash nothing is missing.
const { Shop, say, pause } = require("./shop");

const url = process.env.PAYCONFIRM_URL;
const key = process.env.PAYCONFIRM_KEY;
const AGAIN_AFTER = 2000;
const SILENT = 45_000; // the server says at least every 15 s that it is there

class Refused extends Error {}

// Resolves when the stream ends, as it does when the server is replaced.
async function follow(shop) {
  const silence = new AbortController();
  const headers = { Authorization: `Bearer ${key}`, Accept: "text/event-stream" };
  if (shop.cursor !== null) headers["Last-Event-ID"] = shop.cursor;
  let watch = setTimeout(() => silence.abort(new Error("nothing heard")), SILENT);
  try {
    const answer = await fetch(new URL("/v1/events/stream", url), { headers, signal: silence.signal });
    if ([400, 401, 403, 404].includes(answer.status)) throw new Refused(`${answer.status} ${await answer.text()}`);
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    console.log("following");
    let text = "";
    for await (const piece of answer.body.pipeThrough(new TextDecoderStream())) {
      watch.refresh();
      const frames = (text + piece).split("\n\n");
      text = frames.pop();
      for (const frame of frames) take(shop, frame);
    }
  } finally {
    clearTimeout(watch);
  }
}

// A frame is lines of "name: value"; one without data is a sign of life.
function take(shop, frame) {
  const fields = {};
  for (const line of frame.split("\n")) {
    const at = line.indexOf(":");
    if (at > 0) fields[line.slice(0, at)] = line.slice(at + 1).trimStart();
  }
  if (fields.data === undefined) return;
  const event = JSON.parse(fields.data);
  say(event, shop.hear(event, fields.id));
}

async function main() {
  if (!url || !key) throw new Refused("PAYCONFIRM_URL and PAYCONFIRM_KEY are needed");
  const shop = new Shop(process.env.SHOP_FILE ?? "shop.jsonl");
  for (;;) {
    try {
      await follow(shop);
    } catch (error) {
      if (error instanceof Refused) throw error;
      console.error("not following:", error.cause?.message ?? error.message);
    }
    await pause(AGAIN_AFTER);
  }
}

main().catch((error) => {
  console.error(error.message);
  process.exit(1);
});
