// Verify checks a callback's signature as Standard Webhooks says, with Go's standard library alone.
//
//	WEBHOOK_ID=… WEBHOOK_TIMESTAMP=… WEBHOOK_SIGNATURE=… CALLBACK_SECRET=whsec_… go run ./verify < body
//
// The headers and the body exactly as they came. It prints the event's type and receipt, or ends with 1 and the
// reason.
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

// verify returns an error unless one of our secrets signed exactly this body, and just now.
func verify(id, timestamp, signatures, secrets string, body []byte) error {
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || time.Since(time.Unix(seconds, 0)).Abs() > tolerance {
		return errors.New("its timestamp is missing or over five minutes off: it may be a replay")
	}
	for _, secret := range strings.Fields(secrets) { // several while one is being replaced
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
		if err != nil {
			return errors.New("CALLBACK_SECRET isn't whsec_ and base64")
		}
		mac := hmac.New(sha256.New, key)
		fmt.Fprintf(mac, "%s.%s.%s", id, timestamp, body)
		expected := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
		for _, signature := range strings.Fields(signatures) {
			if hmac.Equal([]byte(signature), []byte(expected)) {
				return nil
			}
		}
	}
	return errors.New("no signature of it is ours")
}

func main() {
	body, err := io.ReadAll(os.Stdin) // the bytes: JSON that was read and written again has another signature
	if err == nil {
		err = verify(os.Getenv("WEBHOOK_ID"), os.Getenv("WEBHOOK_TIMESTAMP"), os.Getenv("WEBHOOK_SIGNATURE"),
			os.Getenv("CALLBACK_SECRET"), body)
	}
	var event struct{ Type, Subject string }
	if err == nil {
		err = json.Unmarshal(body, &event)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "not from payconfirm:", err) // answer 400
		os.Exit(1)
	}
	fmt.Println(event.Type, event.Subject) // drop what comes again (the same webhook-id), answer 204 within 10 s
}
