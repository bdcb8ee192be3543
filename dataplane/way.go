package dataplane

import "sync"

// A Way is what packets met from where they came in to where they ended: every
// decision, in order. All packets that met the same decisions under one snapshot, read
// by one worker, have the same Way, which counts them. It is good to read at any time,
// also when the snapshot that it comes from has been replaced.
//
// The ways of a worker form a tree whose inner nodes are passed stages, so that a packet
// of the stages finds its own with one comparison a stage. The worker alone extends the
// tree; what it counts is published once a batch.
type Way struct {
	tree   *wayTree
	parent *Way // nil: the place where packets came in
	decision
	depth int

	// Children; latest is the one that the last packet took, byStep is there for many.
	latest   *Way
	children []*Way
	byStep   map[decision]*Way

	// The rest is for ends alone.
	index  uint32 // among those of the tree
	target uint32 // of the worker's, once a flow goes this way
	dirty  bool
	// counted is the worker's own; published what others may read of it, folded what
	// the engine's accounts have of that (see account.go).
	counted   Traffic
	published Traffic
	folded    Traffic
	taps      tapMarks

	// followers are the ways of packets that follow one which went this way and opened a
	// connection: into an interface, out of one, both.
	followers [3]*Way
	kept      *Way // see lasting
}

// decision is what one stage decided. Two packets that met the same went the same way.
type decision struct {
	stage  Stage
	end    bool
	reason Reason
	at     *ENI
	by     Ref
	rule   Rule
	// place is where packets came in, at the root of a tree, or went to, at an end.
	place Place
}

// Traffic is a number of packets on the wire and of bytes in them, IP headers included.
type Traffic struct{ Packets, Bytes uint64 }

func (t *Traffic) add(o Traffic) {
	t.Packets += o.Packets
	t.Bytes += o.Bytes
}

// From is where the packets came in.
func (w *Way) From() Place {
	for w.parent != nil {
		w = w.parent
	}
	return w.place
}

// To is where the packets were delivered; zero for a drop and for what a service took.
func (w *Way) To() Place { return w.place }

// Reason is how the packets ended.
func (w *Way) Reason() Reason { return w.reason }

// Steps are the decisions in packet order, without tuples.
func (w *Way) Steps() []Step {
	steps := make([]Step, w.depth)
	for i := len(steps) - 1; i >= 0; i-- {
		steps[i] = Step{Stage: w.stage, By: w.by, At: w.at, Rule: w.rule, End: w.end, Reason: w.reason}
		w = w.parent
	}
	return steps
}

// Last is the decision that ended the packets' walk, without a tuple.
func (w *Way) Last() Step {
	return Step{Stage: w.stage, By: w.by, At: w.at, Rule: w.rule, End: w.end, Reason: w.reason}
}

// Passes tells whether the packets met a stage of the object with that ID: an
// interface, ACL, route table or gateway.
func (w *Way) Passes(id string) bool {
	for ; w.parent != nil; w = w.parent {
		if w.by.ID == id {
			return true
		}
	}
	return w.place.Ref().ID == id
}

// maxWays bounds a worker's tree: beyond it, the worker starts another. Tests make it smaller.
var maxWays = 1 << 17

// manyChildren is from how many on children are looked up instead of looked through.
const manyChildren = 8

// wayTree holds the ways of one worker under one snapshot.
type wayTree struct {
	roots map[Place]*Way
	ends  []*Way
	nodes int
	dirty []*Way // ends that count what is not published yet
	// published guards what others may read: Way.published and seen, the list of ends.
	published *sync.Mutex
	seen      []*Way
}

func newWayTree(published *sync.Mutex) *wayTree {
	return &wayTree{roots: make(map[Place]*Way), published: published}
}

func (t *wayTree) root(p Place) *Way {
	w := t.roots[p]
	if w == nil {
		w = &Way{tree: t, decision: decision{place: p}}
		t.roots[p] = w
	}
	return w
}

// passed is the node after w for a stage that a packet passes. Most packets take the way
// that the one before them took, and cost no more than the comparison.
func (w *Way) passed(stage Stage, at *ENI, by *Ref, rule *Rule) *Way {
	if c := w.latest; c != nil && c.stage == stage && c.at == at && c.rule == *rule && !c.end && c.by.ID == by.ID {
		return c
	}
	return w.next(&decision{stage: stage, at: at, by: *by, rule: *rule})
}

// next is the node after w for a decision, made if it is the first of its kind.
func (w *Way) next(d *decision) *Way {
	if c := w.latest; c != nil && c.is(d) {
		return c
	}
	c := w.find(d)
	if c == nil {
		c = w.add(d)
	}
	w.latest = c
	return c
}

// is compares what differs soonest first. An object's name is the same under one snapshot.
func (w *Way) is(d *decision) bool {
	return w.stage == d.stage && w.at == d.at && w.rule == d.rule && w.reason == d.reason && w.end == d.end &&
		w.place == d.place && w.by.ID == d.by.ID
}

func (w *Way) find(d *decision) *Way {
	if w.byStep != nil {
		return w.byStep[*d]
	}
	for _, c := range w.children {
		if c.is(d) {
			return c
		}
	}
	return nil
}

func (w *Way) add(d *decision) *Way {
	t := w.tree
	c := &Way{tree: t, parent: w, decision: *d, depth: w.depth + 1}
	t.nodes++
	if d.end {
		c.index = uint32(len(t.ends))
		t.ends = append(t.ends, c)
	}
	w.children = append(w.children, c)
	switch n := len(w.children); {
	case w.byStep != nil:
		w.byStep[*d] = c
	case n > manyChildren:
		w.byStep = make(map[decision]*Way, 2*n)
		for _, o := range w.children {
			w.byStep[o.decision] = o
		}
	}
	return c
}

// count counts packets that ended this way.
func (w *Way) count(n Traffic) {
	w.counted.add(n)
	if !w.dirty {
		w.dirty = true
		w.tree.dirty = append(w.tree.dirty, w)
	}
}

// uncount takes back what was counted in the batch under way.
func (w *Way) uncount(n Traffic) {
	w.counted.Packets -= n.Packets
	w.counted.Bytes -= n.Bytes
}

// publish makes what has been counted known to others. published is held.
func (t *wayTree) publish() {
	if len(t.seen) != len(t.ends) {
		t.seen = t.ends
	}
	for _, w := range t.dirty {
		w.published = w.counted
		w.dirty = false
	}
	t.dirty = t.dirty[:0]
}

// instead is the end of packets that had ended as w and then did not: their port
// refused them.
func (w *Way) instead(reason Reason, stage Stage, by Ref, rule Rule) *Way {
	d := decision{stage: stage, end: true, reason: reason, at: w.at, by: by, rule: rule}
	if w.tree == nil {
		return &Way{parent: w.parent, decision: d, depth: w.depth} // of a lasting one
	}
	return w.parent.next(&d)
}
