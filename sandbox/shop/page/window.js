// Sandbox only: stands for Bootpay's payment window. Like it, it ends with a receipt_id (the event `confirm`) or closed.

const dialog = document.getElementById("window");
const form = document.getElementById("window-form");
const problem = document.getElementById("window-problem");
const submit = document.getElementById("window-pay");

// Ask the buyer to pay; resolves to the receipt_id, or to null when the window was closed.
export function requestPayment(orderId, { failed }) {
  problem.hidden = true;
  submit.disabled = false;
  form.reset();
  dialog.showModal();
  return new Promise((resolve) => {
    const over = new AbortController();
    const end = (receiptId) => {
      over.abort();
      dialog.close();
      resolve(receiptId);
    };
    const on = (target, type, act) => target.addEventListener(type, act, { signal: over.signal });
    for (const id of ["window-close", "window-cancel"]) on(document.getElementById(id), "click", () => end(null));
    on(dialog, "cancel", (event) => { event.preventDefault(); if (!submit.disabled) end(null); });
    on(form, "submit", async (event) => {
      event.preventDefault();
      if (submit.disabled) return;
      submit.disabled = true;
      const receiptId = await authorise(orderId, new FormData(form).get("way"));
      if (over.signal.aborted) return;
      if (receiptId) return end(receiptId);
      problem.textContent = failed();
      problem.hidden = false;
      submit.disabled = false;
    });
  });
}

async function authorise(orderId, way) {
  try {
    const answer = await fetch(`/sandbox/window/${orderId}`, {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ way }),
    });
    return answer.ok ? (await answer.json()).receipt_id : null;
  } catch {
    return null;
  }
}
