import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.util.List;
import java.util.Map;

/**
 * Has the payment of one order confirmed over HTTP, with the JDK (17 or later) alone.
 *
 * <pre>javac *.java; PAYCONFIRM_URL=http://127.0.0.1:8000 PAYCONFIRM_KEY=… java Order RECEIPT_ID ORDER_ID AMOUNT</pre>
 *
 * Prints the result document. Ends with 0: confirmed; 3: rejected or voided; 2: refused; 4: no answer, nothing
 * known. 1 is what a crash ends with, so it says nothing of the payment.
 */
final class Order {
    private static final String CONFIRMATIONS = System.getenv("PAYCONFIRM_URL") + "/v1/confirmations";
    private static final HttpClient CLIENT = HttpClient.newHttpClient();
    private static final int TRIES = 30;
    private static final long PAUSE_SECONDS = 2;

    /** Sending the same request again wouldn't help; the message says all that is wrong with it. */
    private static final class Refused extends Exception {
        Refused(String message) {
            super(message);
        }
    }

    public static void main(String[] args) throws InterruptedException {
        String wrong = wrongUse(args);
        if (wrong != null) {
            System.err.println("usage: PAYCONFIRM_URL=http://127.0.0.1:8000 PAYCONFIRM_KEY=… "
                    + "java Order RECEIPT_ID ORDER_ID AMOUNT\n" + wrong);
            System.exit(2);
        }
        try {
            System.exit(confirm(args[0], args[1], Long.parseLong(args[2])));
        } catch (Refused e) {
            System.err.println(e.getMessage());
            System.exit(2);
        } catch (IOException e) {
            System.err.println(e.getMessage());
            System.exit(4);
        }
    }

    /** Says what is missing; null where nothing is. */
    private static String wrongUse(String[] args) {
        if (args.length != 3) {
            return "three arguments are needed";
        }
        if (!args[2].matches("-?\\d{1,18}")) {
            return "AMOUNT isn't a whole number of won";
        }
        if (!System.getenv().getOrDefault("PAYCONFIRM_URL", "").matches("https?://.+")) {
            return "PAYCONFIRM_URL is missing or isn't http://…";
        }
        return System.getenv().getOrDefault("PAYCONFIRM_KEY", "").isEmpty() ? "PAYCONFIRM_KEY is missing" : null;
    }

    private static int confirm(String receiptId, String orderId, long amount)
            throws Refused, IOException, InterruptedException {
        String document = "{\"receipt_id\": %s, \"order_id\": %s, \"amount\": %d}"
                .formatted(Json.quote(receiptId), Json.quote(orderId), amount);
        String body = ask(request(CONFIRMATIONS).POST(BodyPublishers.ofString(document)).build());
        Map<String, Object> result = Json.read(body);
        while (!Boolean.TRUE.equals(result.get("final"))) {
            body = ask(request(CONFIRMATIONS + "/" + receiptId + "?wait=25").build());
            result = Json.read(body);
        }
        if (!orderId.equals(result.get("order_id")) || !String.valueOf(amount).equals(result.get("amount"))) {
            throw new Refused("not shipped: the receipt belongs to " + result.get("order_id"));
        }
        System.out.println(body);
        return "confirmed".equals(result.get("state")) ? 0 : 3;
    }

    private static HttpRequest.Builder request(String url) {
        return HttpRequest.newBuilder(URI.create(url)).timeout(Duration.ofSeconds(40))
                .header("Authorization", "Bearer " + System.getenv("PAYCONFIRM_KEY"))
                .header("Content-Type", "application/json");
    }

    /**
     * Asks until the answer means something. After 429, 5xx and no answer at all the same request goes out again: the
     * same document is the same job, and is never charged twice.
     */
    private static String ask(HttpRequest request) throws Refused, IOException, InterruptedException {
        for (int tries = 0; tries < TRIES; tries++) {
            long pause = PAUSE_SECONDS;
            try {
                HttpResponse<String> answer = CLIENT.send(request, BodyHandlers.ofString());
                int status = answer.statusCode();
                if (status < 300) {
                    return answer.body();
                }
                if (status != 429 && status < 500) {
                    throw new Refused(explain(status, Json.read(answer.body())));
                }
                pause = answer.headers().firstValueAsLong("Retry-After").orElse(PAUSE_SECONDS);
            } catch (IOException | IllegalArgumentException e) {
                System.err.println("no answer: " + e);
            }
            Thread.sleep(Duration.ofSeconds(pause).toMillis());
        }
        throw new IOException(
                "still no answer: send the same order again later, and tell the buyer neither yes nor no");
    }

    private static String explain(int status, Map<String, Object> problem) {
        StringBuilder text = new StringBuilder(status + " " + problem.get("detail"));
        for (Object each : (List<?>) problem.getOrDefault("errors", List.of())) {
            Map<?, ?> error = (Map<?, ?>) each;
            text.append("\n  ").append(error.get("field")).append(' ').append(error.get("message"));
        }
        return text.toString();
    }
}
