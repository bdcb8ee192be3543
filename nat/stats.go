package nat

// Stats is what a table holds, and what it has done since OpenTable.
type Stats struct {
	Mappings, Capacity int    // Mappings as Len
	Made               uint64 // mappings made
	Expired            uint64 // of those, or of those found at OpenTable: idle for too long, or of a lost address and in the way
	Removed            uint64 // gone with their gateway or address
	// What was refused: the table, or the file system under it, was full; no port to the
	// destination was left (NA-05); a protocol that is not translated (NA-03). Traces
	// count, too.
	RefusedFull, RefusedExhausted, RefusedProtocol uint64
	// Work: records looked at for expired ones, ports tried for proposals, and ports of
	// full destinations looked at for expired mappings.
	Examined, Tries, Swept uint64
}

// counts is a shard's part of Stats.
type counts struct{ made, expired, removed, tries, swept uint64 }

func (c *counts) ofTime() *uint64  { return &c.expired }
func (c *counts) ofOwner() *uint64 { return &c.removed }

// Stats counts. The figures are each right, but not of one and the same instant.
func (t *Table) Stats() Stats {
	s := Stats{
		Mappings: t.Len(), Capacity: t.slab.Cap(),
		RefusedFull: t.refusedFull.Load(), RefusedExhausted: t.refusedExhausted.Load(),
		RefusedProtocol: t.refusedProtocol.Load(), Examined: t.examined.Load(),
	}
	for i := range t.shards {
		sh := &t.shards[i]
		sh.mu.Lock()
		s.Made += sh.counts.made
		s.Expired += sh.counts.expired
		s.Removed += sh.counts.removed
		s.Tries += sh.counts.tries
		s.Swept += sh.counts.swept
		sh.mu.Unlock()
	}
	return s
}
