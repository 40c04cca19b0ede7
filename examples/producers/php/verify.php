<?php
// Check a callback's signature as Standard Webhooks says, with PHP 8 alone.
//
//   WEBHOOK_ID=… WEBHOOK_TIMESTAMP=… WEBHOOK_SIGNATURE=… CALLBACK_SECRET=whsec_… php verify.php < body
//
// The headers and the body exactly as they came. Prints the event's type and receipt and ends with 0; with 1: it isn't
// payconfirm's; 2: it can't be checked, as a variable is missing or the secret is none.
// In a web server the headers are $_SERVER['HTTP_WEBHOOK_ID'] and so on, and the body is php://input.
declare(strict_types=1);

const TOLERANCE_SECONDS = 300;

/** Give the secrets' keys. Without one, or with an empty one, anybody could sign. */
function keys(string $secrets): array
{
    $keys = [];
    foreach (preg_split('/ +/', $secrets, flags: PREG_SPLIT_NO_EMPTY) as $secret) {
        $key = str_starts_with($secret, 'whsec_') ? base64_decode(substr($secret, 6), true) : '';
        if (strlen((string) $key) < 24 || strlen($key) > 64) {
            throw new InvalidArgumentException('each secret in CALLBACK_SECRET is whsec_ and the base64 of 24 to 64 bytes');
        }
        $keys[] = $key;
    }
    return $keys ?: throw new InvalidArgumentException('CALLBACK_SECRET is missing');
}

/** Throw unless one of our secrets signed exactly this body, and just now. */
function verify(string $id, string $timestamp, string $signatures, string $secrets, string $body): void
{
    $keys = keys($secrets);
    if (!ctype_digit($timestamp) || abs(time() - (int) $timestamp) > TOLERANCE_SECONDS) {
        throw new RuntimeException('its timestamp is missing or over five minutes off: it may be a replay');
    }
    foreach ($keys as $key) { // several while one is being replaced
        $expected = 'v1,' . base64_encode(hash_hmac('sha256', "$id.$timestamp.$body", $key, true));
        foreach (explode(' ', $signatures) as $signature) {
            if (hash_equals($expected, $signature)) {
                return;
            }
        }
    }
    throw new RuntimeException('no signature of it is ours');
}

function variable(string $name): string
{
    $value = getenv($name);
    return $value !== false ? $value : throw new InvalidArgumentException("$name is missing");
}

$body = file_get_contents('php://stdin'); // the bytes: JSON that was read and written again has another signature
try {
    $header = fn (string $name): string => variable("WEBHOOK_$name");
    verify($header('ID'), $header('TIMESTAMP'), $header('SIGNATURE'), variable('CALLBACK_SECRET'), $body);
} catch (InvalidArgumentException $wrong) {
    fwrite(STDERR, "can't check: {$wrong->getMessage()}\n"); // answer 500: it comes again
    exit(2);
} catch (RuntimeException $wrong) {
    fwrite(STDERR, "not from payconfirm: {$wrong->getMessage()}\n"); // answer 400
    exit(1);
}
$event = json_decode($body, flags: JSON_THROW_ON_ERROR);
echo "$event->type $event->subject\n"; // drop what comes again (the same webhook-id), answer 204 within 10 s
