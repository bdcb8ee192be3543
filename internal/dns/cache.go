package dns

import (
	"errors"
	"os"
	"syscall"
	"time"

	"github.com/miekg/dns"
)

// errStranger: a server answered another question.
var errStranger = errors.New("the answer is to another question")

const (
	maxEntries   = 2048
	maxEntrySize = 4096 // bytes of a message that is kept
	// maxKept is the longest that an answer is kept, whatever it says (RFC 8767 section
	// 4 has a cap of days; a lab lives for hours).
	maxKept = time.Hour
	// failureKept is how long it is remembered that no server answered (RFC 9520 section 3.2).
	failureKept = time.Second
)

// key is what answers are known by. The name is in canonical form.
type key struct {
	name   string
	qtype  uint16
	do, cd bool
}

func keyOf(q *query) key {
	ask := q.question()
	return key{dns.CanonicalName(ask.Name), ask.Qtype, q.dnssec(), q.msg.CheckingDisabled}
}

// cache keeps a bounded number of answers until their time is over.
type cache struct{ entries map[key]*entry }

// entry is an answer, or the lack of one (nil). It is not written to.
type entry struct {
	answer        *dns.Msg
	stored, until time.Time
}

func (c *cache) clear() { c.entries = nil }

func (c *cache) get(k key, now time.Time) (*entry, bool) {
	e := c.entries[k]
	if e == nil || !now.Before(e.until) {
		return nil, false
	}
	return e, true
}

// put keeps an answer for as long as it says. A full cache loses what is over and,
// where that is nothing, any one entry.
func (c *cache) put(k key, answer *dns.Msg, now time.Time) {
	life := lifeOf(answer)
	if life <= 0 || answer != nil && answer.Len() > maxEntrySize {
		return
	}
	if len(c.entries) >= maxEntries {
		for k, e := range c.entries {
			if !now.Before(e.until) {
				delete(c.entries, k)
			}
		}
	}
	for k := range c.entries {
		if len(c.entries) < maxEntries {
			break
		}
		delete(c.entries, k)
	}
	if c.entries == nil {
		c.entries = map[key]*entry{}
	}
	c.entries[k] = &entry{answer, now, now.Add(life)}
}

// lifeOf is how long an answer may be kept: as its shortest-lived record, a
// negative one as its SOA says and without one not at all (RFC 2308 section 5).
func lifeOf(m *dns.Msg) time.Duration {
	if m == nil {
		return failureKept
	}
	life := maxKept
	negative, soa := len(m.Answer) == 0, false
	for _, list := range [][]dns.RR{m.Answer, m.Ns, m.Extra} {
		for _, rr := range list {
			if rr.Header().Rrtype == dns.TypeOPT {
				continue // its TTL holds flags
			}
			life = min(life, seconds(rr.Header().Ttl))
			if s, ok := rr.(*dns.SOA); ok {
				life, soa = min(life, seconds(s.Minttl)), true
			}
		}
	}
	if negative && !soa {
		return 0
	}
	return life
}

// seconds reads a TTL; one with the highest bit set is 0 (RFC 2181 section 8).
func seconds(ttl uint32) time.Duration {
	if ttl >= 1<<31 {
		return 0
	}
	return time.Duration(ttl) * time.Second
}

// fill completes the reply by the answer. The times to live are what is left of
// them, and the name asked for is spelled as the question spelled it.
func (e *entry) fill(q *query, now time.Time) {
	if e.answer == nil {
		q.reply.Rcode = dns.RcodeServerFailure
		return
	}
	age := uint32(0)
	if !e.stored.IsZero() {
		age = uint32(max(now.Sub(e.stored), 0) / time.Second)
	}
	ask := q.question()
	name := dns.CanonicalName(ask.Name)
	own := func(list []dns.RR) (out []dns.RR) {
		for _, rr := range list {
			if rr.Header().Rrtype == dns.TypeOPT {
				continue // it is between the two servers
			}
			rr = dns.Copy(rr)
			h := rr.Header()
			h.Ttl -= min(h.Ttl, age)
			if dns.CanonicalName(h.Name) == name {
				h.Name = ask.Name
			}
			out = append(out, rr)
		}
		return out
	}
	opt := q.reply.Extra // the reply's own
	q.reply.Rcode = e.answer.Rcode
	q.reply.Answer, q.reply.Ns, q.reply.Extra = own(e.answer.Answer), own(e.answer.Ns), append(own(e.answer.Extra), opt...)
}

// fileState tells one content of a file from another.
type fileState struct {
	device, inode uint64
	changed       time.Time
	size          int64
}

// stateOf is a file's state; a file that cannot be looked at is as none.
func stateOf(path string) fileState {
	info, err := os.Stat(path)
	if err != nil {
		return fileState{}
	}
	s := fileState{changed: info.ModTime(), size: info.Size()}
	if st, ok := info.Sys().(*syscall.Stat_t); ok { // a file put in another's place may be as old as that
		s.device, s.inode = st.Dev, st.Ino
	}
	return s
}
