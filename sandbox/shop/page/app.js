// The shop's page: the shelf at /, an order at /orders/<number>. Whatever the server says goes into text nodes.

import { requestPayment } from "./window.js";
import { WORDS, formatPrice } from "./words.js";

const FEW = 5;                      // from here on the page says how many are left
const SLOW_AFTER_MS = 10_000;       // then it says that it takes longer than usual
const AGAIN_MS = [500, 1000, 2000, 4000];
const LOOK_AGAIN_MS = 30_000;       // so often an open page asks whether what was final has been taken back
const SIGNS = { confirmed: "good", rejected: "no", voiding: "back", voided: "back", placed: "no", missing: "no", nowhere: "no" };
// A person may void what was confirmed, and money that is found after a rejection goes back.
const TAKEN_BACK = ["confirmed", "rejected"];
const TITLES = { out_of_stock: "soldOutTitle", order_already_paid: "alreadyPaidTitle", already_cancelled: "cancelledTitle" };
const MONEY = { order_already_paid: "noSecondTime", already_cancelled: "nothingKept" };
// Rejected, and yet money may be found: the gateway wasn't clear about it, or the buyer can still pay.
const MAY_BE_FOUND = ["declined", "deadline_exceeded", "late_approval", "receipt_not_found", "not_ready", "awaiting_deposit", "operator"];

const $ = (id) => document.getElementById(id);
const page = document.documentElement;
let language = page.lang;
let goods = [];
let order = null;                   // what the server last said of the order that is shown
let chosen = null;                  // the item in the checkout
let events = null;
let slow = null;
let later = null;

const word = (key, ...more) => {
  const found = WORDS[language][key];
  return typeof found === "function" ? found(...more) : found;
};
const price = (won) => formatPrice(language, won);
const nameOf = (item) => item[language];
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const known = (orderId) => `receipt of ${orderId}`;

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function art(sku) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `#art-${sku}`);
  svg.append(use);
  return svg;
}

function post(path, body) {
  const headers = { "Content-Type": "application/json" };
  return fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
}

// The shelf ---------------------------------------------------------------------------------------------------------

async function loadShelf() {
  try {
    const answer = await fetch("/items");
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    goods = await answer.json();
    $("shelf-problem").hidden = true;
  } catch {
    $("shelf-problem").textContent = word("shelfAway");
    $("shelf-problem").hidden = false;
    setTimeout(loadShelf, 2000);
  }
  translate();
}

function renderShelf() {
  $("items").replaceChildren(...goods.map(card));
}

function card(item) {
  const gone = item.left === 0;
  const few = item.left !== null && item.left > 0 && item.left <= FEW;
  const stock = gone ? word("soldOut") : few ? word("left", item.left) : item.left === null ? "" : word("inStock");
  const buy = element("button", { type: "button", class: "primary", "aria-label": word("buyItem", nameOf(item)) }, gone ? word("soldOut") : word("buy"));
  buy.disabled = gone;
  buy.addEventListener("click", () => openCheckout(item));
  return element("li", { class: `card${gone ? " gone" : ""}`, "data-sku": item.sku },
    element("div", { class: `art tone-${item.sku}` }, art(item.sku)),
    element("h2", {}, nameOf(item)),
    element("p", { class: `stock${few ? " few" : ""}` }, stock),
    element("div", { class: "buy" }, element("span", { class: "price" }, price(item.price)), buy));
}

// The checkout ------------------------------------------------------------------------------------------------------

function openCheckout(item) {
  chosen = item;
  $("checkout-problem").hidden = true;
  $("checkout-pay").disabled = false;
  translate();
  $("checkout").showModal();
  $("buyer-name").focus();
}

async function placeOrder() {
  const name = $("buyer-name").value.trim();
  if (!name) return refuseCheckout("nameMissing");
  $("checkout-pay").disabled = true;     // a second press is no second order
  let answer = null;
  try {
    answer = await post("/orders", { sku: chosen.sku, name });
  } catch { /* said below */ }
  $("checkout-pay").disabled = false;
  if (!answer?.ok) return refuseCheckout(answer?.status === 422 ? "nameProblem" : "orderProblem");
  const orderId = (await answer.json()).order_id;
  $("checkout").close();
  order = { order_id: orderId, sku: chosen.sku, amount: chosen.price, buyer: name, state: "placed", final: false };
  history.pushState(null, "", `/orders/${orderId}`);
  await pay();
}

function refuseCheckout(key) {
  $("checkout-problem").textContent = word(key);
  $("checkout-problem").hidden = false;
  if (key !== "orderProblem") $("buyer-name").focus();
}

// Paying ------------------------------------------------------------------------------------------------------------

async function pay() {
  const paying = order;
  unfollow();
  showOrder();
  const receiptId = await requestPayment(paying.order_id, { failed: () => word("windowProblem") });
  if (receiptId === null) return;
  sessionStorage.setItem(known(paying.order_id), receiptId);
  await confirmPayment(paying.order_id, receiptId);
}

// STEP 1: hand the receipt to the shop's server. Whether it heard us is unknown until it answers, so say it again.
async function confirmPayment(orderId, receiptId) {
  show({ ...order, receipt_id: receiptId, state: "received", reason: null, final: false });
  for (let tries = 0; order?.order_id === orderId; tries += 1) {
    try {
      const answer = await post(`/orders/${orderId}/pay`, { receipt_id: receiptId });
      if (answer.status < 500) {
        sessionStorage.removeItem(known(orderId));
        return follow(orderId, { refused: !answer.ok });
      }
    } catch { /* no connection: again */ }
    $("connection").hidden = false;
    await pause(AGAIN_MS[Math.min(tries, AGAIN_MS.length - 1)]);
  }
}

// The outcome -------------------------------------------------------------------------------------------------------

function follow(orderId, { refused = false } = {}) {
  unfollow();
  const stream = events = new EventSource(`/orders/${orderId}/events`);
  stream.onopen = () => { $("connection").hidden = true; };
  stream.onmessage = (event) => {
    const news = JSON.parse(event.data);
    const receiptId = sessionStorage.getItem(known(orderId));
    if (news.final || news.state === "placed") stream.close();
    if (news.state === "placed" && receiptId) return confirmPayment(orderId, receiptId);
    show({ ...news, refused });
    if (TAKEN_BACK.includes(news.state)) lookLater(orderId);
  };
  stream.onerror = () => {
    if (TAKEN_BACK.includes(order?.state)) return lookLater(orderId);  // what is known stands meanwhile
    if (order?.state !== "missing") $("connection").hidden = false;
    if (stream.readyState === EventSource.CLOSED) lookAgain(orderId, stream);
  };
}

// While somebody is looking: a page that is hidden asks when it is seen again.
function lookLater(orderId) {
  unfollow();
  later = setTimeout(() => { if (!document.hidden) follow(orderId); }, LOOK_AGAIN_MS);
}

// The server answered with an error, after which a browser doesn't come again by itself.
async function lookAgain(orderId, stream) {
  await pause(AGAIN_MS[2]);
  if (events === stream) follow(orderId);
}

function unfollow() {
  clearTimeout(later);
  events?.close();
  events = null;
}

function show(news) {
  const first = order?.state !== news.state;
  order = news;
  if (first) {
    clearTimeout(slow);
    slow = setTimeout(() => { order.slow = true; translate(); }, SLOW_AFTER_MS);
  }
  translate();
}

function showOrder() {
  $("shelf").hidden = true;
  $("order").hidden = false;
  $("connection").hidden = true;
  window.scrollTo(0, 0);
  translate();
}

function describe(news) {
  const because = news.reason ? word("reasons")[news.reason] ?? "" : "";
  switch (news.state) {
    case "nowhere": return [word("nowhereTitle"), word("nowhereText"), ""];
    case "missing": return [word("noOrderTitle"), word("noOrderText"), ""];
    case "placed": return [word("placedTitle"), word(news.refused ? "conflictText" : "placedText"), ""];
    case "confirmed": return [word("confirmedTitle"), word("confirmedText", news.buyer), ""];
    case "rejected": {
      const money = [MONEY[news.reason] ?? "noMoney", ...(MAY_BE_FOUND.includes(news.reason) ? ["refundIfFound"] : [])];
      return [word(TITLES[news.reason] ?? "rejectedTitle"), because, money.map((key) => word(key)).join(" ")];
    }
    case "voiding": return [word("voidingTitle"), because, word("moneyBack", price(news.amount))];
    case "voided": return [word("voidedTitle"), because, word("moneyBack", price(news.amount))];
    case "review": return [word("checkingTitle"), because, word("reviewText")];
    default: return [word("checkingTitle"), word(news.slow ? "slowText" : "checkingText"), ""];
  }
}

function renderOrder() {
  const [title, text, money] = describe(order);
  const item = goods.find((one) => one.sku === order.sku);
  $("outcome").dataset.state = order.state;
  $("outcome").dataset.sign = SIGNS[order.state] ?? "wait";
  setText($("outcome-title"), title);
  setText($("outcome-text"), text);
  setText($("outcome-money"), money);
  showBank(order.state === "rejected" && order.reason === "declined" ? order.message : "");
  const rows = order.amount === undefined ? [] : [
    ["item", item ? nameOf(item) : order.sku], ["amount", price(order.amount)],
    ["recipient", order.buyer], ["orderNumber", order.order_id],
  ];
  $("summary").replaceChildren(...rows.map(([key, value]) =>
    element("div", {}, element("dt", {}, word(key)), element("dd", {}, value))));
  $("pay-now").hidden = order.state !== "placed";
  $("again").hidden = order.state !== "rejected" || ["out_of_stock", "order_already_paid"].includes(order.reason) || !item;
  $("story").hidden = !order.receipt_id;
  setText($("story-command"), `.venv/bin/python -m worker explain ${order.receipt_id}`);
  document.title = `${title} · ${word("brand")}`;
}

// The bank's own words, in its own language, whatever the page's is.
function showBank(message) {
  $("bank").hidden = !message;
  setText($("bank-words"), message ?? "");
  $("bank-words").lang = /[가-힣]/.test(message) ? "ko" : "";
}

// Screen readers hear of what changes; so what is the same isn't written again.
function setText(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

// Everything that is shown, in the chosen language --------------------------------------------------------------------

function translate() {
  page.lang = language;
  for (const target of document.querySelectorAll("[data-word]")) setText(target, word(target.dataset.word));
  for (const button of document.querySelectorAll("[data-language]"))
    button.setAttribute("aria-pressed", String(button.dataset.language === language));
  document.title = word("brand");
  renderShelf();
  if (chosen) {
    $("checkout-art").setAttribute("href", `#art-${chosen.sku}`);
    setText($("checkout-name"), nameOf(chosen));
    for (const id of ["checkout-price", "checkout-total"]) setText($(id), price(chosen.price));
    setText($("checkout-pay"), word("payAmount", price(chosen.price)));
  }
  if (!order) return;
  const item = goods.find((one) => one.sku === order.sku);
  if (item) setText($("window-item"), nameOf(item));
  if (order.amount !== undefined) {
    setText($("window-amount"), price(order.amount));
    setText($("window-pay"), word("payAmount", price(order.amount)));
  }
  renderOrder();
}

function choose(wanted) {
  language = wanted;
  document.cookie = `language=${wanted}; path=/; max-age=31536000; samesite=lax`;
  translate();
}

function route() {
  unfollow();
  if ($("window").open) $("window-close").click();
  if ($("checkout").open) $("checkout").close();
  const orderId = location.pathname.match(/^\/orders\/([A-Z0-9]+)$/)?.[1];
  if (!orderId && location.pathname !== "/") {
    order = { state: "nowhere", final: true };
    showOrder();
    return loadShelf();
  }
  if (!orderId) {
    order = null;
    $("order").hidden = true;
    $("shelf").hidden = false;
    return loadShelf();
  }
  order = { order_id: orderId, state: "loading", final: false };
  showOrder();
  loadShelf();
  return follow(orderId);
}

for (const button of document.querySelectorAll("[data-language]"))
  button.addEventListener("click", () => choose(button.dataset.language));
for (const id of ["home", "back"])
  $(id).addEventListener("click", (event) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    history.pushState(null, "", "/");
    route();
    $("main").focus();
  });
$("checkout-close").addEventListener("click", () => $("checkout").close());
$("checkout-form").addEventListener("submit", (event) => {
  event.preventDefault();
  if (!$("checkout-pay").disabled) placeOrder();
});
$("pay-now").addEventListener("click", pay);
$("again").addEventListener("click", () => openCheckout(goods.find((one) => one.sku === order.sku)));
window.addEventListener("popstate", route);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && TAKEN_BACK.includes(order?.state)) follow(order.order_id);
});

route();
