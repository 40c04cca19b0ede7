# Have the payment of one order confirmed over HTTP, with Ruby's standard library alone.
#
#   PAYCONFIRM_URL=http://127.0.0.1:8000 PAYCONFIRM_KEY=… ruby order.rb RECEIPT_ID ORDER_ID AMOUNT
#
# Prints the result document. Ends with 0: confirmed; 3: rejected or voided; 2: refused; 4: no answer, nothing
# known. 1 is what a crash ends with, so it says nothing of the payment.
require "json"
require "net/http"

CONFIRMATIONS = "#{ENV["PAYCONFIRM_URL"]}/v1/confirmations".freeze
HEADERS = { "Authorization" => "Bearer #{ENV["PAYCONFIRM_KEY"]}", "Content-Type" => "application/json" }.freeze
TRIES = 30
PAUSE_SECONDS = 2
NO_ANSWER = [SystemCallError, SocketError, IOError, Timeout::Error, Net::ProtocolError, OpenSSL::SSL::SSLError,
             JSON::ParserError].freeze

def give_up(code, message)
  warn message
  exit code
end

# Asks until the answer means something. After 429, 5xx and no answer at all the same request goes out again: the same
# document is the same job, and is never charged twice.
def ask(url, document = nil)
  TRIES.times do
    answer = send_once(URI(url), document)
    said = JSON.parse(answer.body)
    case answer
    when Net::HTTPSuccess then return said
    when Net::HTTPTooManyRequests, Net::HTTPServerError then sleep Integer(answer["Retry-After"] || PAUSE_SECONDS)
    else refuse(answer.code, said)
    end
  rescue *NO_ANSWER => e
    warn "no answer: #{e.message}"
    sleep PAUSE_SECONDS
  end
  give_up 4, "still no answer: send the same order again later, and tell the buyer neither yes nor no"
end

def send_once(uri, document)
  Net::HTTP.start(uri.host, uri.port, use_ssl: uri.scheme == "https", read_timeout: 40) do |http|
    document ? http.post(uri.request_uri, document.to_json, HEADERS) : http.get(uri.request_uri, HEADERS)
  end
end

# Says all that is wrong with the request; sending it again wouldn't help.
def refuse(status, problem)
  errors = problem.fetch("errors", []).map { |error| "  #{error["field"]} #{error["message"]}" }
  give_up 2, ["#{status} #{problem["detail"]}", *errors].join("\n")
end

def usage(wrong)
  give_up 2, "usage: PAYCONFIRM_URL=http://127.0.0.1:8000 PAYCONFIRM_KEY=… ruby order.rb RECEIPT_ID ORDER_ID AMOUNT\n#{wrong}"
end

usage "three arguments are needed" unless ARGV.size == 3
receipt_id, order_id, amount = ARGV
usage "AMOUNT isn't a whole number of won" unless amount.match?(/\A-?\d+\z/)
usage "PAYCONFIRM_URL is missing or isn't http://…" unless ENV["PAYCONFIRM_URL"]&.match?(%r{\Ahttps?://.})
usage "PAYCONFIRM_KEY is missing" if ENV["PAYCONFIRM_KEY"].to_s.empty?
order = { "receipt_id" => receipt_id, "order_id" => order_id, "amount" => Integer(amount, 10) }
result = ask(CONFIRMATIONS, order)
result = ask("#{CONFIRMATIONS}/#{receipt_id}?wait=25") until result["final"]
unless result.values_at("order_id", "amount") == order.values_at("order_id", "amount")
  give_up 2, "not shipped: the receipt belongs to #{result["order_id"]}, #{result["amount"]}"
end
puts result.to_json
exit result["state"] == "confirmed" ? 0 : 3
