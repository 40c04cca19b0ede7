<?php
// Have the payment of one order confirmed over HTTP, with PHP 8 alone: no extension, no package.
//
//   PAYCONFIRM_URL=http://127.0.0.1:8000 PAYCONFIRM_KEY=… php order.php RECEIPT_ID ORDER_ID AMOUNT
//
// Prints the result document. Ends with 0: confirmed; 3: rejected or voided; 2: refused; 4: no answer, nothing
// known. 1 is what a crash ends with, so it says nothing of the payment.
declare(strict_types=1);

const TRIES = 30;
const PAUSE_SECONDS = 2;
const JSON_AS_IT_IS = JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES | JSON_THROW_ON_ERROR;

function give_up(int $code, string $message): never
{
    fwrite(STDERR, $message . PHP_EOL);
    exit($code);
}

/** Send one request; give the answer's status, headers (in lower case) and JSON, or null where none came whole. */
function send(string $url, ?array $document): ?array
{
    $context = stream_context_create(['http' => [
        'method' => $document === null ? 'GET' : 'POST',
        'header' => ['Authorization: Bearer ' . getenv('PAYCONFIRM_KEY'), 'Content-Type: application/json'],
        'content' => $document === null ? '' : json_encode($document, JSON_AS_IT_IS),
        'ignore_errors' => true, // a 4xx has a body that says why
        'timeout' => 40,
    ]]);
    error_clear_last();
    $body = @file_get_contents($url, false, $context);
    $said = json_decode((string) $body); // objects: an array would print the empty one as []
    if (!is_object($said)) {
        fwrite(STDERR, 'no answer: ' . (error_get_last()['message'] ?? 'not JSON') . PHP_EOL);
        return null;
    }
    $headers = [];
    foreach (array_slice($http_response_header, 1) as $line) {
        [$name, $value] = explode(':', $line, 2);
        $headers[strtolower($name)] = trim($value);
    }
    return [(int) explode(' ', $http_response_header[0])[1], $headers, $said];
}

/**
 * Ask until the answer means something. After 429, 5xx and no answer at all the same request goes out again: the same
 * document is the same job, and is never charged twice.
 */
function ask(string $url, ?array $document = null): object
{
    for ($tries = 0; $tries < TRIES; $tries++) {
        [$status, $headers, $said] = send($url, $document) ?? [503, [], null];
        if ($status < 300) {
            return $said;
        }
        if ($status !== 429 && $status < 500) {
            refuse($status, $said);
        }
        sleep((int) ($headers['retry-after'] ?? PAUSE_SECONDS));
    }
    give_up(4, 'still no answer: send the same order again later, and tell the buyer neither yes nor no');
}

/** Say all that is wrong with the request; sending it again wouldn't help. */
function refuse(int $status, object $problem): never
{
    $lines = ["$status $problem->detail"];
    foreach ($problem->errors ?? [] as $error) {
        $lines[] = "  $error->field $error->message";
    }
    give_up(2, implode(PHP_EOL, $lines));
}

function usage(string $wrong): never
{
    $usage = 'usage: PAYCONFIRM_URL=http://127.0.0.1:8000 PAYCONFIRM_KEY=… php order.php RECEIPT_ID ORDER_ID AMOUNT';
    give_up(2, $usage . PHP_EOL . $wrong);
}

if ($argc !== 4) {
    usage('three arguments are needed');
}
[, $receiptId, $orderId, $amount] = $argv;
$amount = filter_var($amount, FILTER_VALIDATE_INT);
if ($amount === false) {
    usage("AMOUNT isn't a whole number of won");
}
if (!preg_match('~^https?://.~', getenv('PAYCONFIRM_URL') ?: '')) {
    usage("PAYCONFIRM_URL is missing or isn't http://…");
}
if (!getenv('PAYCONFIRM_KEY')) {
    usage('PAYCONFIRM_KEY is missing');
}
$confirmations = getenv('PAYCONFIRM_URL') . '/v1/confirmations';
$order = ['receipt_id' => $receiptId, 'order_id' => $orderId, 'amount' => $amount];
$result = ask($confirmations, $order);
while (!$result->final) {
    $result = ask("$confirmations/$receiptId?wait=25");
}
if ($result->order_id !== $order['order_id'] || $result->amount !== $order['amount']) {
    give_up(2, "not shipped: the receipt belongs to $result->order_id, $result->amount");
}
echo json_encode($result, JSON_AS_IT_IS), PHP_EOL;
exit($result->state === 'confirmed' ? 0 : 3);
