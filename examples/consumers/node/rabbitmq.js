"use strict";
// Listens to payconfirm's events through RabbitMQ, in order, each at least once:
//
//     npm ci
//     EVENTS_URL=amqp://guest:guest@localhost:5672 node rabbitmq.js
//
// Results are written to shop.jsonl in the current folder (SHOP_FILE). On Redis the events go through kombu, which Node has
// no library for: read the feed instead (feed.js).
const amqplib = require("amqplib");
const { Shop, say, pause } = require("./shop");

const url = process.env.EVENTS_URL;
const queue = process.env.EVENTS_QUEUE ?? "shop.payments.node"; // two programs on one queue would share its events
const USAGE = "usage: EVENTS_URL=amqp://user:password@host:5672 node rabbitmq.js (on Redis: feed.js)";
const AGAIN_AFTER = 2000;

// Resolves when the connection is gone, however that came.
async function listen(shop) {
  const connection = await amqplib.connect(url, { timeout: 10_000 });
  const gone = new Promise((resolve) => connection.on("close", resolve));
  connection.on("error", (error) => console.error("lost:", error.message)); // "close" follows
  const channel = await connection.createChannel();
  channel.on("error", (error) => console.error("refused:", error.message));
  channel.on("close", () => connection.close().catch(() => {}));
  await channel.assertExchange("payconfirm.events", "topic", { durable: true });
  await channel.assertQueue(queue, { durable: true, arguments: { "x-queue-type": "quorum" } });
  await channel.bindQueue(queue, "payconfirm.events", "payconfirm.*");
  await channel.prefetch(10);
  await channel.consume(queue, (message) => {
    if (message === null) return void connection.close().catch(() => {}); // somebody deleted the queue
    const event = JSON.parse(message.content);
    say(event, shop.hear(event));
    channel.ack(message); // only now: it is on disk
  });
  console.log("listening");
  await gone;
}

async function main() {
  if (!/^amqps?:\/\//.test(url)) {
    console.error(USAGE);
    process.exit(2);
  }
  const shop = new Shop(process.env.SHOP_FILE ?? "shop.jsonl");
  for (;;) {
    await listen(shop).catch((error) => console.error("not listening:", error.message));
    await pause(AGAIN_AFTER);
  }
}

main().catch((error) => {
  console.error(error.message);
  process.exit(1);
});
