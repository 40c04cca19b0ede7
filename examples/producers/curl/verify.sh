#!/usr/bin/env bash
# Check a callback's signature as Standard Webhooks says, with bash and openssl alone.
#
#   WEBHOOK_ID=… WEBHOOK_TIMESTAMP=… WEBHOOK_SIGNATURE=… CALLBACK_SECRET=whsec_… bash verify.sh < body
#
# The headers and the body exactly as they came. Prints the event's type and receipt and ends with 0; with 1: it isn't
# payconfirm's; 2: it can't be checked, as a variable is missing or the secret is none.
# openssl takes its key as an argument, which others on this machine can read while it runs: a tool for your own desk.
set -euf -o pipefail # -f: a header never names files

tolerance_seconds=300

not_ours() {
	echo "not from payconfirm: $1" >&2
	exit 1
}

cannot_check() {
	echo "can't check: $1" >&2 # answer 500: it comes again
	exit 2
}

for name in CALLBACK_SECRET WEBHOOK_ID WEBHOOK_TIMESTAMP WEBHOOK_SIGNATURE; do
	[[ -v $name ]] || cannot_check "$name is missing"
done

# Without a key, or with an empty one, anybody could sign.
keys=()
for secret in $CALLBACK_SECRET; do # several while one is being replaced
	encoded=${secret#whsec_}
	while ((${#encoded} % 4)); do encoded+==; done
	key=$(base64 -d <<<"$encoded" 2>/dev/null | od -An -v -tx1 | tr -d ' \n') || key=
	[[ $secret == whsec_* ]] && ((${#key} >= 48 && ${#key} <= 128)) ||
		cannot_check "each secret in CALLBACK_SECRET is whsec_ and the base64 of 24 to 64 bytes"
	keys+=("$key")
done
((${#keys[@]})) || cannot_check "CALLBACK_SECRET is missing"

sha256() { openssl dgst -sha256 -r | cut -d' ' -f1; }

[[ $WEBHOOK_TIMESTAMP =~ ^[0-9]{1,12}$ ]] || not_ours "its timestamp is missing or no number"
off=$(($(date +%s) - 10#$WEBHOOK_TIMESTAMP))
((${off#-} <= tolerance_seconds)) || not_ours "its timestamp is over five minutes off: it may be a replay"

body=$(mktemp) # the bytes: bash would lose some, and JSON written anew has another signature
trap 'rm -f "$body"' EXIT
cat >"$body"

ours=no
for key in "${keys[@]}"; do
	expected=v1,$({
		printf '%s.%s.' "$WEBHOOK_ID" "$WEBHOOK_TIMESTAMP"
		cat "$body"
	} | openssl dgst -sha256 -mac HMAC -macopt "hexkey:$key" -binary | base64)
	for signature in $WEBHOOK_SIGNATURE; do
		# bash stops at the first difference; how long that takes tells nothing about hashes
		[[ $(sha256 <<<"$signature") != $(sha256 <<<"$expected") ]] || ours=yes
	done
done
[[ $ours == yes ]] || not_ours "no signature of it is ours"

# Only now is it worth reading. With jq: jq -r '"\(.type) \(.subject)"'
field() { grep -o "\"$1\": *\"[^\"]*\"" "$body" | head -n 1 | cut -d'"' -f4; }
echo "$(field type) $(field subject)" # drop what comes again (the same webhook-id), answer 204 within 10 s
