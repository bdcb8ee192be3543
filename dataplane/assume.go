package dataplane

// assumed are the effects of the packets that a Tracer has sent.
type assumed struct {
	observed []observation
	mapped   []mapping
}
