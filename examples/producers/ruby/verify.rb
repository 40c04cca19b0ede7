# Check a callback's signature as Standard Webhooks says, with Ruby's standard library alone.
#
#   WEBHOOK_ID=… WEBHOOK_TIMESTAMP=… WEBHOOK_SIGNATURE=… CALLBACK_SECRET=whsec_… ruby verify.rb < body
#
# The headers and the body exactly as they came. Prints the event's type and receipt and ends with 0; with 1: it isn't
# payconfirm's; 2: it can't be checked, as a variable is missing or the secret is none.
require "json"
require "openssl"

TOLERANCE_SECONDS = 300

# The secrets' keys. Without one, or with an empty one, anybody could sign.
def keys(secrets)
  raise ArgumentError, "CALLBACK_SECRET is missing" if secrets.strip.empty?

  secrets.split.map do |secret|
    encoded = secret[/\Awhsec_([^=]*)=*\z/, 1].to_s
    key = encoded.ljust((encoded.size + 3) / 4 * 4, "=").unpack1("m0")
    key.bytesize.between?(24, 64) ? key : raise(ArgumentError)
  rescue ArgumentError
    raise ArgumentError, "each secret in CALLBACK_SECRET is whsec_ and the base64 of 24 to 64 bytes"
  end
end

# The reason why this isn't ours, or nil when one of our secrets signed exactly this body, and just now.
def wrong_with(id:, timestamp:, signatures:, secrets:, body:)
  keys = keys(secrets)
  unless timestamp.match?(/\A\d+\z/) && (Time.now.to_i - timestamp.to_i).abs <= TOLERANCE_SECONDS
    return "its timestamp is missing or over five minutes off: it may be a replay"
  end

  ours = keys.map do |key| # several while one is being replaced
    "v1," + [OpenSSL::HMAC.digest("SHA256", key, "#{id}.#{timestamp}.".b + body)].pack("m0")
  end
  known = ours.product(signatures.split).any? { |one, other| OpenSSL.secure_compare(one, other) }
  "no signature of it is ours" unless known
end

body = $stdin.binmode.read # the bytes: JSON that was read and written again has another signature
begin
  wrong = wrong_with(
    id: ENV.fetch("WEBHOOK_ID"),
    timestamp: ENV.fetch("WEBHOOK_TIMESTAMP"),
    signatures: ENV.fetch("WEBHOOK_SIGNATURE"),
    secrets: ENV.fetch("CALLBACK_SECRET"),
    body: body
  )
rescue KeyError, ArgumentError => e
  warn "can't check: #{e.is_a?(KeyError) ? "#{e.key} is missing" : e.message}" # answer 500: it comes again
  exit 2
end
abort "not from payconfirm: #{wrong}" if wrong # answer 400
event = JSON.parse(body)
puts "#{event["type"]} #{event["subject"]}" # drop what comes again (the same webhook-id), answer 204 within 10 s
