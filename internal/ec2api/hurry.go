package ec2api

import (
	"context"
	"net/http"
	"strings"
	"time"
)

// The Go SDK, Terraform's among others, closes a request's body as soon as the head of the answer
// is there. If its HTTP client has not yet looked for the end of that body by then, it
// takes the closed body for an error, closes the connection, and loses what it has not read of the
// answer: "failed to decode response body … use of closed network connection" (aws-sdk-go-v2 issues
// 1825 and 2737). AWS is never fast enough for that; a server on the same machine is. It
// gets the time to look.
const (
	goSDKPause = 10 * time.Millisecond // from the request's last byte to the answer's first
	goSDKReads = 3 << 10               // bytes: the HTTP client reads 4 KiB with the head
)

// awaitGoSDK waits until an answer of so many bytes to r, which was read at the time, can be
// sent. It ends early when ctx does.
func awaitGoSDK(ctx context.Context, r *http.Request, read time.Time, size int) {
	if size < goSDKReads || !strings.Contains(r.UserAgent(), "aws-sdk-go-v2/") {
		return
	}
	t := time.NewTimer(goSDKPause - time.Since(read))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
