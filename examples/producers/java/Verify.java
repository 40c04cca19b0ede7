import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.time.Duration;
import java.time.Instant;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/**
 * Checks a callback's signature as Standard Webhooks says, with the JDK alone.
 *
 * <pre>WEBHOOK_ID=… WEBHOOK_TIMESTAMP=… WEBHOOK_SIGNATURE=… CALLBACK_SECRET=whsec_… java Verify < body</pre>
 *
 * The headers and the body exactly as they came. Prints the event's type and receipt and ends with 0; with 1: it isn't
 * payconfirm's; 2: it can't be checked, as a variable is missing or the secret is none.
 */
final class Verify {
    private static final Duration TOLERANCE = Duration.ofMinutes(5);

    public static void main(String[] args) throws IOException, GeneralSecurityException {
        byte[] body = System.in.readAllBytes(); // the bytes: JSON that was read and written again has another signature
        String wrong = null;
        try {
            wrong = wrongWith(variable("WEBHOOK_ID"), variable("WEBHOOK_TIMESTAMP"), variable("WEBHOOK_SIGNATURE"),
                    variable("CALLBACK_SECRET"), body);
        } catch (IllegalArgumentException e) {
            System.err.println("can't check: " + e.getMessage()); // answer 500: it comes again
            System.exit(2);
        }
        if (wrong != null) {
            System.err.println("not from payconfirm: " + wrong); // answer 400
            System.exit(1);
        }
        Map<String, Object> event = Json.read(new String(body, StandardCharsets.UTF_8));
        // drop what comes again (the same webhook-id), answer 204 within 10 s
        System.out.println(event.get("type") + " " + event.get("subject"));
    }

    /** Says why this isn't ours; null where a secret of ours signed exactly this body, and just now. */
    static String wrongWith(String id, String timestamp, String signatures, String secrets, byte[] body)
            throws GeneralSecurityException {
        List<byte[]> keys = keys(secrets);
        if (!timestamp.matches("\\d{1,12}")
                || Duration.between(Instant.ofEpochSecond(Long.parseLong(timestamp)), Instant.now()).abs()
                        .compareTo(TOLERANCE) > 0) {
            return "its timestamp is missing or over five minutes off: it may be a replay";
        }
        for (byte[] key : keys) { // several while one is being replaced
            Mac mac = Mac.getInstance("HmacSHA256");
            mac.init(new SecretKeySpec(key, "HmacSHA256"));
            mac.update((id + "." + timestamp + ".").getBytes(StandardCharsets.UTF_8));
            byte[] expected = ("v1," + Base64.getEncoder().encodeToString(mac.doFinal(body))).getBytes();
            for (String signature : signatures.split(" ")) {
                if (MessageDigest.isEqual(expected, signature.getBytes())) {
                    return null;
                }
            }
        }
        return "no signature of it is ours";
    }

    /** Gives the secrets' keys. Without one, or with an empty one, anybody could sign. */
    private static List<byte[]> keys(String secrets) {
        if (secrets.isBlank()) {
            throw new IllegalArgumentException("CALLBACK_SECRET is missing");
        }
        return Stream.of(secrets.split(" ")).filter(secret -> !secret.isEmpty()).map(Verify::key).toList();
    }

    private static byte[] key(String secret) {
        try {
            byte[] key = Base64.getDecoder().decode(secret.replaceFirst("^whsec_", ""));
            if (secret.startsWith("whsec_") && key.length >= 24 && key.length <= 64) {
                return key;
            }
        } catch (IllegalArgumentException e) {
            // no base64: said below
        }
        throw new IllegalArgumentException(
                "each secret in CALLBACK_SECRET is whsec_ and the base64 of 24 to 64 bytes");
    }

    private static String variable(String name) {
        String value = System.getenv(name);
        if (value == null) {
            throw new IllegalArgumentException(name + " is missing");
        }
        return value;
    }
}
