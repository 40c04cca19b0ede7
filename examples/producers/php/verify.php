<?php
// Check a callback's signature as Standard Webhooks says, with PHP 8 alone.
//
//   WEBHOOK_ID=… WEBHOOK_TIMESTAMP=… WEBHOOK_SIGNATURE=… CALLBACK_SECRET=whsec_… php verify.php < body
//
// The headers and the body exactly as they came. Prints the event's type and receipt, or ends with 1 and the reason.
// In a web server the headers are $_SERVER['HTTP_WEBHOOK_ID'] and so on, and the body is php://input.
declare(strict_types=1);

const TOLERANCE_SECONDS = 300;

/** Throw unless one of our secrets signed exactly this body, and just now. */
function verify(string $id, string $timestamp, string $signatures, string $secrets, string $body): void
{
    if (!ctype_digit($timestamp) || abs(time() - (int) $timestamp) > TOLERANCE_SECONDS) {
        throw new RuntimeException('its timestamp is missing or over five minutes off: it may be a replay');
    }
    // several while one is being replaced
    foreach (preg_split('/ +/', $secrets, flags: PREG_SPLIT_NO_EMPTY) as $secret) {
        $key = base64_decode(preg_replace('/^whsec_/', '', $secret));
        $expected = 'v1,' . base64_encode(hash_hmac('sha256', "$id.$timestamp.$body", $key, true));
        foreach (explode(' ', $signatures) as $signature) {
            if (hash_equals($expected, $signature)) {
                return;
            }
        }
    }
    throw new RuntimeException('no signature of it is ours');
}

$header = fn (string $name): string => getenv("WEBHOOK_$name") ?: '';
$body = file_get_contents('php://stdin'); // the bytes: JSON that was read and written again has another signature
try {
    verify($header('ID'), $header('TIMESTAMP'), $header('SIGNATURE'), getenv('CALLBACK_SECRET') ?: '', $body);
} catch (RuntimeException $wrong) {
    fwrite(STDERR, "not from payconfirm: {$wrong->getMessage()}\n"); // answer 400
    exit(1);
}
$event = json_decode($body, flags: JSON_THROW_ON_ERROR);
echo "$event->type $event->subject\n"; // drop what comes again (the same webhook-id), answer 204 within 10 s
