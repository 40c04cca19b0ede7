import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.time.Duration;
import java.time.Instant;
import java.util.Base64;
import java.util.Map;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/**
 * Checks a callback's signature as Standard Webhooks says, with the JDK alone.
 *
 * <pre>WEBHOOK_ID=… WEBHOOK_TIMESTAMP=… WEBHOOK_SIGNATURE=… CALLBACK_SECRET=whsec_… java Verify < body</pre>
 *
 * The headers and the body exactly as they came. Prints the event's type and receipt, or ends with 1 and the reason.
 */
final class Verify {
    private static final Duration TOLERANCE = Duration.ofMinutes(5);

    public static void main(String[] args) throws IOException, GeneralSecurityException {
        byte[] body = System.in.readAllBytes(); // the bytes: JSON that was read and written again has another signature
        String wrong = wrongWith(header("ID"), header("TIMESTAMP"), header("SIGNATURE"),
                System.getenv().getOrDefault("CALLBACK_SECRET", ""), body);
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
        if (!timestamp.matches("\\d{1,12}")
                || Duration.between(Instant.ofEpochSecond(Long.parseLong(timestamp)), Instant.now()).abs()
                        .compareTo(TOLERANCE) > 0) {
            return "its timestamp is missing or over five minutes off: it may be a replay";
        }
        for (String secret : secrets.split(" ")) { // several while one is being replaced
            if (secret.isEmpty()) {
                continue;
            }
            Mac mac = Mac.getInstance("HmacSHA256");
            mac.init(new SecretKeySpec(Base64.getDecoder().decode(secret.replaceFirst("^whsec_", "")), "HmacSHA256"));
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

    private static String header(String name) {
        return System.getenv().getOrDefault("WEBHOOK_" + name, "");
    }
}
