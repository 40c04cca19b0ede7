// Order has the payment of one order confirmed over HTTP, with Go's standard library alone.
//
//	PAYCONFIRM_URL=http://127.0.0.1:8000 PAYCONFIRM_KEY=… bin/order RECEIPT_ID ORDER_ID AMOUNT
//
// built by `go build -o bin/ ./...`: `go run` would end with 1, whatever the program ends with. It prints the result
// document and ends with 0: confirmed; 3: rejected or voided; 2: refused; 4: no answer, so nothing is known. 1 is what a
// crash ends with elsewhere (Go's own ends with 2), so it says nothing of the payment.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	tries = 30
	pause = 2 * time.Second
)

var (
	client    = http.Client{Timeout: 40 * time.Second}
	errUnsure = errors.New("still no answer: send the same order again later, and tell the buyer neither yes nor no")
)

type order struct {
	ReceiptID string `json:"receipt_id"`
	OrderID   string `json:"order_id"`
	Amount    int64  `json:"amount"`
}

type result struct {
	OrderID string      `json:"order_id"`
	Amount  json.Number `json:"amount"`
	State   string      `json:"state"`
	Final   bool        `json:"final"`
	whole   []byte
}

type problem struct {
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Errors []struct{ Field, Message string }
}

// Error says all that is wrong with the request; sending it again wouldn't help.
func (p problem) Error() string {
	text := fmt.Sprintf("%d %s", p.Status, p.Detail)
	for _, e := range p.Errors {
		text += fmt.Sprintf("\n  %s %s", e.Field, e.Message)
	}
	return text
}

// ask asks until the answer means something. After 429, 5xx and no answer at all the same request goes out again: the
// same document is the same job, and is never charged twice.
func ask(method, path string, document []byte) (result, error) {
	for i := 0; i < tries; i++ {
		wait := pause
		status, header, body, err := send(method, path, document)
		switch {
		case err != nil:
			fmt.Fprintln(os.Stderr, "no answer:", err)
		case status < 300:
			found := result{whole: body}
			return found, json.Unmarshal(body, &found)
		case status != http.StatusTooManyRequests && status < 500:
			refused := problem{Status: status}
			if err := json.Unmarshal(body, &refused); err != nil {
				return result{}, err
			}
			return result{}, refused
		default:
			if seconds, err := strconv.Atoi(header.Get("Retry-After")); err == nil {
				wait = time.Duration(seconds) * time.Second
			}
		}
		time.Sleep(wait)
	}
	return result{}, errUnsure
}

func send(method, path string, document []byte) (int, http.Header, []byte, error) {
	request, err := http.NewRequest(method, os.Getenv("PAYCONFIRM_URL")+path, bytes.NewReader(document))
	if err != nil {
		return 0, nil, nil, err
	}
	request.Header.Set("Authorization", "Bearer "+os.Getenv("PAYCONFIRM_KEY"))
	request.Header.Set("Content-Type", "application/json")
	answer, err := client.Do(request)
	if err != nil {
		return 0, nil, nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	return answer.StatusCode, answer.Header, body, err
}

// confirm hands the order in and waits for its result.
func confirm(o order) (result, error) {
	document, err := json.Marshal(o)
	if err != nil {
		return result{}, err
	}
	found, err := ask(http.MethodPost, "/v1/confirmations", document)
	for err == nil && !found.Final {
		found, err = ask(http.MethodGet, "/v1/confirmations/"+o.ReceiptID+"?wait=25", nil)
	}
	if err == nil && (found.OrderID != o.OrderID || found.Amount.String() != strconv.FormatInt(o.Amount, 10)) {
		err = problem{Status: http.StatusConflict, Detail: "not shipped: the receipt belongs to " + found.OrderID}
	}
	return found, err
}

func usage(wrong string) {
	fmt.Fprintln(os.Stderr, "usage: PAYCONFIRM_URL=http://127.0.0.1:8000 PAYCONFIRM_KEY=… bin/order RECEIPT_ID ORDER_ID AMOUNT")
	fmt.Fprintln(os.Stderr, wrong)
	os.Exit(2)
}

func main() {
	if len(os.Args) != 4 {
		usage("three arguments are needed")
	}
	amount, err := strconv.ParseInt(os.Args[3], 10, 64)
	if err != nil {
		usage("AMOUNT isn't a whole number of won")
	}
	if url := os.Getenv("PAYCONFIRM_URL"); !strings.HasPrefix(url, "http://") && !strings.HasPrefix(url, "https://") {
		usage("PAYCONFIRM_URL is missing or isn't http://…")
	}
	if os.Getenv("PAYCONFIRM_KEY") == "" {
		usage("PAYCONFIRM_KEY is missing")
	}
	found, err := confirm(order{os.Args[1], os.Args[2], amount})
	var refused problem
	switch {
	case errors.As(err, &refused):
		fmt.Fprintln(os.Stderr, refused)
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(4)
	}
	fmt.Println(string(found.whole))
	if found.State != "confirmed" {
		os.Exit(3)
	}
}
