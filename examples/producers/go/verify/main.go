// Verify checks a callback's signature as Standard Webhooks says, with Go's standard library alone.
//
//	WEBHOOK_ID=… WEBHOOK_TIMESTAMP=… WEBHOOK_SIGNATURE=… CALLBACK_SECRET=whsec_… bin/verify < body
//
// built by `go build -o bin/ ./...`: `go run` would end with 1 in place of 2. The headers and the body exactly as
// they came. It prints the event's type and receipt and ends with 0; with 1: it isn't payconfirm's; 2: it can't be
// checked, as a variable is missing or the secret is none.
package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
)

const tolerance = 5 * time.Minute

var errNotOurs = errors.New("not from payconfirm")

// keys gives the secrets' keys. Without one, or with an empty one, anybody could sign.
func keys(secrets string) ([][]byte, error) {
	var found [][]byte
	for _, secret := range strings.Fields(secrets) {
		key, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(strings.TrimPrefix(secret, "whsec_"), "="))
		if err != nil || !strings.HasPrefix(secret, "whsec_") || len(key) < 24 || len(key) > 64 {
			return nil, errors.New("each secret in CALLBACK_SECRET is whsec_ and the base64 of 24 to 64 bytes")
		}
		found = append(found, key)
	}
	if found == nil {
		return nil, errors.New("CALLBACK_SECRET is missing")
	}
	return found, nil
}

// verify returns an error unless one of our secrets signed exactly this body, and just now:
// errNotOurs, or what keeps it from being checked.
func verify(id, timestamp, signatures, secrets string, body []byte) error {
	known, err := keys(secrets)
	if err != nil {
		return err
	}
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || time.Since(time.Unix(seconds, 0)).Abs() > tolerance {
		return fmt.Errorf("%w: its timestamp is missing or over five minutes off: it may be a replay", errNotOurs)
	}
	for _, key := range known { // several while one is being replaced
		mac := hmac.New(sha256.New, key)
		fmt.Fprintf(mac, "%s.%s.%s", id, timestamp, body)
		expected := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
		for _, signature := range strings.Fields(signatures) {
			if hmac.Equal([]byte(signature), []byte(expected)) {
				return nil
			}
		}
	}
	return fmt.Errorf("%w: no signature of it is ours", errNotOurs)
}

// variables gives the environment's variables of these names.
func variables(names ...string) ([]string, error) {
	var values []string
	for _, name := range names {
		value, set := os.LookupEnv(name)
		if !set {
			return nil, errors.New(name + " is missing")
		}
		values = append(values, value)
	}
	return values, nil
}

func main() {
	given, err := variables("WEBHOOK_ID", "WEBHOOK_TIMESTAMP", "WEBHOOK_SIGNATURE", "CALLBACK_SECRET")
	var body []byte
	if err == nil {
		body, err = io.ReadAll(os.Stdin) // the bytes: JSON that was read and written again has another signature
	}
	if err == nil {
		err = verify(given[0], given[1], given[2], given[3], body)
	}
	var event struct{ Type, Subject string }
	if err == nil {
		err = json.Unmarshal(body, &event)
	}
	switch {
	case errors.Is(err, errNotOurs):
		fmt.Fprintln(os.Stderr, err) // answer 400
		os.Exit(1)
	case err != nil:
		fmt.Fprintln(os.Stderr, "can't check:", err) // answer 500: it comes again
		os.Exit(2)
	}
	fmt.Println(event.Type, event.Subject) // drop what comes again (the same webhook-id), answer 204 within 10 s
}
