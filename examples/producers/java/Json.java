import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The least of JSON that the two programs need, since the JDK has none. Your shop has Jackson or Gson: take that. */
final class Json {
    private final String text;
    private int at;

    private Json(String text) {
        this.text = text;
    }

    /** Reads an object: values are Map, List, String, Boolean, null, and numbers as their own text. */
    @SuppressWarnings("unchecked")
    static Map<String, Object> read(String text) {
        try {
            return (Map<String, Object>) new Json(text).value();
        } catch (IndexOutOfBoundsException | ClassCastException | NumberFormatException e) {
            throw new IllegalArgumentException("not a JSON object: " + text, e);
        }
    }

    static String quote(String text) {
        StringBuilder quoted = new StringBuilder("\"");
        for (char c : text.toCharArray()) {
            quoted.append(c < ' ' || c == '"' || c == '\\' ? String.format("\\u%04x", (int) c) : String.valueOf(c));
        }
        return quoted.append('"').toString();
    }

    private Object value() {
        switch (peek()) {
            case '{' -> {
                Map<String, Object> object = new LinkedHashMap<>();
                for (at++; peek() != '}'; skip(',')) {
                    String name = string();
                    skip(':');
                    object.put(name, value());
                }
                at++;
                return object;
            }
            case '[' -> {
                List<Object> list = new ArrayList<>();
                for (at++; peek() != ']'; skip(',')) {
                    list.add(value());
                }
                at++;
                return list;
            }
            case '"' -> {
                return string();
            }
            default -> {
                return literal();
            }
        }
    }

    private String string() {
        StringBuilder read = new StringBuilder();
        peek();
        while (text.charAt(++at) != '"') {
            char c = text.charAt(at);
            if (c == '\\') {
                c = text.charAt(++at);
                int plain = "bfnrt".indexOf(c);
                if (c == 'u') {
                    c = (char) Integer.parseInt(text.substring(at + 1, at + 5), 16);
                    at += 4;
                } else if (plain >= 0) {
                    c = "\b\f\n\r\t".charAt(plain);
                }
            }
            read.append(c);
        }
        at++;
        return read.toString();
    }

    private Object literal() {
        int from = at;
        while (at < text.length() && ",]} \t\r\n".indexOf(text.charAt(at)) < 0) {
            at++;
        }
        String word = text.substring(from, at);
        return switch (word) {
            case "true", "false" -> Boolean.valueOf(word);
            case "null" -> null;
            default -> new BigDecimal(word).toString();
        };
    }

    private char peek() {
        while (Character.isWhitespace(text.charAt(at))) {
            at++;
        }
        return text.charAt(at);
    }

    private void skip(char c) {
        if (peek() == c) {
            at++;
        }
    }
}
