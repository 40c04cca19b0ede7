#!/usr/bin/env bash
# Have the payment of one order confirmed over HTTP, with bash and curl (7.71 or later) alone.
#
#   PAYCONFIRM_URL=http://127.0.0.1:8000 PAYCONFIRM_KEY=… bash order.sh RECEIPT_ID ORDER_ID AMOUNT
#
# Prints the result document. Ends with 0: confirmed; 3: rejected or voided; 2: refused; 4: no answer, nothing
# known. 1 is what a crash ends with, so it says nothing of the payment.
set -euo pipefail

usage() {
	printf 'usage: PAYCONFIRM_URL=http://127.0.0.1:8000 PAYCONFIRM_KEY=… bash order.sh RECEIPT_ID ORDER_ID AMOUNT\n%s\n' "$1" >&2
	exit 2
}

(($# == 3)) || usage "three arguments are needed"
[[ $3 =~ ^-?[0-9]+$ ]] || usage "AMOUNT isn't a whole number of won"
[[ ${PAYCONFIRM_URL:-} =~ ^https?://. ]] || usage "PAYCONFIRM_URL is missing or isn't http://…"
[[ -n ${PAYCONFIRM_KEY:-} ]] || usage "PAYCONFIRM_KEY is missing"

confirmations="$PAYCONFIRM_URL/v1/confirmations"
answer=$(mktemp)
trap 'rm -f "$answer"' EXIT

# Asks until the answer means something. After 429, 5xx (as Retry-After says) and no answer at all curl sends the same
# request again: the same document is the same job, and is never charged twice. The key isn't among curl's arguments,
# where everybody on this machine could read it.
ask() {
	local status
	status=$(curl -sS --retry 30 --retry-all-errors --retry-max-time 120 --max-time 40 -o "$answer" -w '%{http_code}' \
		-H @<(printf 'Authorization: Bearer %s\n' "$PAYCONFIRM_KEY") -H 'Content-Type: application/json' "$@") || status=none
	case $status in
	200 | 202)
		told=$(<"$answer")
		says '"metadata":{}' || { echo "another program's order; read it with jq: $told" >&2 && exit 4; }
		;;
	429 | 5?? | none)
		echo "still no answer: send the same order again later, and tell the buyer neither yes nor no" >&2
		exit 4
		;;
	*) # the problem document says all that is wrong; sending it again wouldn't help
		printf '%s %s\n' "$status" "$(cat "$answer")" >&2
		exit 2
		;;
	esac
}

# Without jq: the answer is compact JSON, and in its strings every quote stands behind a backslash, so "state": is a key.
# Only metadata could have a second one, so an order with metadata (this program sends none) isn't judged here.
says() { [[ $told == *"$1"* ]]; }

quoted() {
	local text=${1//\\/\\\\}
	printf '"%s"' "${text//\"/\\\"}"
}

receipt_id=$(quoted "$1") order_id=$(quoted "$2") amount=$3
ask -d "{\"receipt_id\": $receipt_id, \"order_id\": $order_id, \"amount\": $amount}" "$confirmations"
until says '"final":true'; do
	ask "$confirmations/$1?wait=25"
done
if ! says "\"order_id\":$order_id," || ! says "\"amount\":$amount,"; then
	echo "not shipped: the receipt belongs to another order: $told" >&2
	exit 2
fi
printf '%s\n' "$told"
says '"state":"confirmed"' || exit 3
