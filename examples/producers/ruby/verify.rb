# Check a callback's signature as Standard Webhooks says, with Ruby's standard library alone.
#
#   WEBHOOK_ID=… WEBHOOK_TIMESTAMP=… WEBHOOK_SIGNATURE=… CALLBACK_SECRET=whsec_… ruby verify.rb < body
#
# The headers and the body exactly as they came. Prints the event's type and receipt, or ends with 1 and the reason.
require "json"
require "openssl"

TOLERANCE_SECONDS = 300

# The reason why this isn't ours, or nil when one of our secrets signed exactly this body, and just now.
def wrong_with(id:, timestamp:, signatures:, secrets:, body:)
  unless timestamp.match?(/\A\d+\z/) && (Time.now.to_i - timestamp.to_i).abs <= TOLERANCE_SECONDS
    return "its timestamp is missing or over five minutes off: it may be a replay"
  end

  ours = secrets.split.map do |secret| # several while one is being replaced
    key = secret.delete_prefix("whsec_").unpack1("m")
    "v1," + [OpenSSL::HMAC.digest("SHA256", key, "#{id}.#{timestamp}.".b + body)].pack("m0")
  end
  known = ours.product(signatures.split).any? { |one, other| OpenSSL.secure_compare(one, other) }
  "no signature of it is ours" unless known
end

body = $stdin.binmode.read # the bytes: JSON that was read and written again has another signature
wrong = wrong_with(
  id: ENV.fetch("WEBHOOK_ID", ""),
  timestamp: ENV.fetch("WEBHOOK_TIMESTAMP", ""),
  signatures: ENV.fetch("WEBHOOK_SIGNATURE", ""),
  secrets: ENV.fetch("CALLBACK_SECRET"),
  body: body
)
abort "not from payconfirm: #{wrong}" if wrong # answer 400
event = JSON.parse(body)
puts "#{event["type"]} #{event["subject"]}" # drop what comes again (the same webhook-id), answer 204 within 10 s
