"use strict";
// What the shop knows of its payments: a file with one line for each event, written to disk before it is acknowledged.
// A real shop has a database: write the event's id and what it says in one transaction.
const fs = require("node:fs");

class Shop {
  #file;
  #ids = new Set();
  #sequences = new Map();
  cursor = null; // of the feed, where the events come from there

  constructor(path) {
    this.#file = fs.openSync(path, "a+");
    const text = fs.readFileSync(path, "utf8");
    const whole = text.slice(0, text.lastIndexOf("\n") + 1); // a crash may have left half a line
    fs.ftruncateSync(this.#file, Buffer.byteLength(whole));
    for (const line of whole.split("\n").slice(0, -1)) this.#know(JSON.parse(line));
  }

  // Writes down what an event says, once; says whether it was news. A repeat may come after its successor.
  hear(event, cursor = null) {
    const news = !this.#ids.has(event.id) && event.sequence > (this.#sequences.get(event.subject) ?? 0);
    if (!news && cursor === null) return false;
    const line = { id: event.id, receipt_id: event.subject, sequence: event.sequence, state: event.data.state, cursor, news };
    fs.writeSync(this.#file, JSON.stringify(line) + "\n");
    fs.fsyncSync(this.#file);
    this.#know(line);
    return news;
  }

  #know({ id, receipt_id, sequence, cursor }) {
    this.#ids.add(id);
    this.#sequences.set(receipt_id, Math.max(sequence, this.#sequences.get(receipt_id) ?? 0));
    this.cursor = cursor ?? this.cursor;
  }
}

function say(event, news) {
  console.log(event.type, event.subject, event.sequence, news ? "" : "(known)");
}

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

module.exports = { Shop, say, pause };
