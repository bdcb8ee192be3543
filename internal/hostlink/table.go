package hostlink

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// tableName is the lab's table; two labs of one name differ in their run directories.
func (l Lab) tableName() string {
	sum := sha256.Sum256([]byte(l.RunDir))
	return prefix + "-" + l.Name + "-" + hex.EncodeToString(sum[:4])
}

func (l Lab) table() *nftables.Table {
	return &nftables.Table{Name: l.tableName(), Family: nftables.TableFamilyIPv4}
}

// rules is the version of what applyTable writes.
const rules = 1

// signature names an empty chain that tells what the table's rules were made from, so that those
// that are right already are left alone.
func signature(device string, w Wish, refused []netip.Prefix) string {
	sum := sha256.Sum256(fmt.Append(nil, rules, device, w, refused))
	return "made-from-" + hex.EncodeToString(sum[:8])
}

// applyTable replaces the lab's table by what w asks for, in one step of the kernel. In the
// words of nft, for a lab that is joined and has an uplink:
//
//	chain forward { type filter hook forward priority filter
//	    iifname vpcemu0 ct state established,related accept
//	    iifname vpcemu0 ip saddr POOL goto outward               the lab's own addresses only
//	    iifname vpcemu0 drop
//	    oifname vpcemu0 ct state established,related accept
//	    oifname vpcemu0 drop }                                   nobody comes in this way
//	chain outward {
//	    ip daddr ALLOWED accept
//	    ip daddr REFUSED drop
//	    fib daddr type != unicast drop
//	    oifname "vpcemu*" drop }                                 another lab
//	chain input { type filter hook input priority filter
//	    iifname vpcemu0 ct state established,related accept      answers to this machine
//	    iifname vpcemu0 ip daddr ALLOWED accept
//	    iifname vpcemu0 drop }
//	chain postrouting { type nat hook postrouting priority srcnat
//	    iifname vpcemu0 masquerade }
//
// Without an uplink nothing is forwarded; without a join this machine's own programs send
// nothing but what belongs to the lab's connections (chain output).
func applyTable(lab Lab, device string, w Wish, refused []netip.Prefix) error {
	c, err := nftables.New()
	if err != nil {
		return noTables(err)
	}
	sign := signature(device, w, refused)
	if there, err := c.ListChainsOfTableFamily(nftables.TableFamilyIPv4); err != nil {
		return noTables(err)
	} else if slices.ContainsFunc(there, func(ch *nftables.Chain) bool { return ch.Table.Name == lab.tableName() && ch.Name == sign }) {
		return nil
	}
	// Added first, so that there is one to delete.
	t := c.AddTable(lab.table())
	c.DelTable(t)
	b := &builder{c: c, table: c.AddTable(lab.table()), in: from(device), out: to(device)}
	b.c.AddChain(&nftables.Chain{Name: sign, Table: b.table})
	b.forward(w, refused)
	b.input(w)
	if !w.Join {
		b.output()
	}
	if w.Uplink {
		b.postrouting()
	}
	if err := c.Flush(); err != nil {
		return noTables(err)
	}
	return nil
}

// removeTable deletes the lab's table if it is there.
func removeTable(lab Lab) error {
	c, err := nftables.New()
	if err != nil {
		return noTables(err)
	}
	there, err := c.ListTablesOfFamily(nftables.TableFamilyIPv4)
	if err != nil {
		if without(err) {
			return nil
		}
		return noTables(err)
	}
	if !slices.ContainsFunc(there, func(t *nftables.Table) bool { return t.Name == lab.tableName() }) {
		return nil
	}
	c.DelTable(lab.table())
	if err := c.Flush(); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("nftables: table %s: remove: %w", lab.tableName(), err)
	}
	return nil
}

// checkTables tells whether the kernel can do all that applyTable asks of it, by making a table
// and deleting it in one step that nobody sees.
func checkTables() error {
	c, err := nftables.New()
	if err != nil {
		return noTables(err)
	}
	t := c.AddTable(&nftables.Table{Name: prefix + " probe", Family: nftables.TableFamilyIPv4})
	b := &builder{c: c, table: t, in: from("lo"), out: to("lo")}
	b.forward(Wish{Uplink: true, Pools: private[:1]}, private[:1])
	b.postrouting()
	c.DelTable(t)
	if err := c.Flush(); err != nil {
		return noTables(err)
	}
	return nil
}

func noTables(err error) error {
	return fmt.Errorf("nftables: %w: join and uplink need nftables with connection tracking, masquerade and fib (modprobe nf_tables nft_ct nft_masq nft_fib_ipv4, or a kernel that has them)", err)
}

// without tells whether the error says that the kernel has no nftables at all.
func without(err error) bool {
	return errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP)
}

// builder adds chains and rules to a table.
type builder struct {
	c       *nftables.Conn
	table   *nftables.Table
	in, out match // by the device
}

func (b *builder) forward(w Wish, refused []netip.Prefix) {
	chain := b.base("forward", nftables.ChainTypeFilter, nftables.ChainHookForward, nftables.ChainPriorityFilter)
	if w.Uplink {
		outward := b.c.AddChain(&nftables.Chain{Name: "outward", Table: b.table})
		for _, p := range w.Allow {
			b.rule(outward, accept, destination(p))
		}
		for _, p := range refused {
			b.rule(outward, drop, destination(p))
		}
		b.rule(outward, drop, notUnicast)
		b.rule(outward, drop, to(prefix+"*"))
		b.rule(outward, accept)
		b.rule(chain, accept, b.in, known)
		for _, p := range w.Pools {
			b.rule(chain, match{&expr.Verdict{Kind: expr.VerdictGoto, Chain: outward.Name}}, b.in, source(p))
		}
	}
	b.rule(chain, drop, b.in)
	if w.Uplink {
		b.rule(chain, accept, b.out, known)
	}
	b.rule(chain, drop, b.out)
}

func (b *builder) input(w Wish) {
	chain := b.base("input", nftables.ChainTypeFilter, nftables.ChainHookInput, nftables.ChainPriorityFilter)
	b.rule(chain, accept, b.in, known)
	for _, p := range w.Allow {
		b.rule(chain, accept, b.in, destination(p))
	}
	b.rule(chain, drop, b.in)
}

func (b *builder) output() {
	chain := b.base("output", nftables.ChainTypeFilter, nftables.ChainHookOutput, nftables.ChainPriorityFilter)
	b.rule(chain, accept, b.out, known) // errors about the lab's packets, answers to those of input
	b.rule(chain, drop, b.out)
}

func (b *builder) postrouting() {
	chain := b.base("postrouting", nftables.ChainTypeNAT, nftables.ChainHookPostrouting, nftables.ChainPriorityNATSource)
	b.rule(chain, match{&expr.Masq{}}, b.in)
}

func (b *builder) base(name string, kind nftables.ChainType, hook *nftables.ChainHook, priority *nftables.ChainPriority) *nftables.Chain {
	return b.c.AddChain(&nftables.Chain{Name: name, Table: b.table, Type: kind, Hooknum: hook, Priority: priority})
}

func (b *builder) rule(chain *nftables.Chain, verdict match, conditions ...match) {
	r := &nftables.Rule{Table: b.table, Chain: chain}
	for _, m := range append(conditions, verdict) {
		r.Exprs = append(r.Exprs, m...)
	}
	b.c.AddRule(r)
}

// match is what a rule compares, or its verdict.
type match []expr.Any

var (
	accept = match{&expr.Verdict{Kind: expr.VerdictAccept}}
	drop   = match{&expr.Verdict{Kind: expr.VerdictDrop}}

	// known: ct state established,related.
	known = match{
		&expr.Ct{Key: expr.CtKeySTATE, Register: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Xor: make([]byte, 4),
			Mask: binaryutil.NativeEndian.PutUint32(expr.CtStateBitESTABLISHED | expr.CtStateBitRELATED)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: make([]byte, 4)},
	}

	// notUnicast: fib daddr type != unicast.
	notUnicast = match{
		&expr.Fib{Register: 1, ResultADDRTYPE: true, FlagDADDR: true},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: binaryutil.NativeEndian.PutUint32(unix.RTN_UNICAST)},
	}
)

func from(device string) match { return interfaceName(expr.MetaKeyIIFNAME, device) }
func to(device string) match   { return interfaceName(expr.MetaKeyOIFNAME, device) }

// interfaceName compares all of the name, or where it ends with '*' what is before that.
func interfaceName(key expr.MetaKey, name string) match {
	data := []byte(name + "\x00")
	if start, some := strings.CutSuffix(name, "*"); some {
		data = []byte(start)
	} else {
		data = append(data, make([]byte, unix.IFNAMSIZ-len(data))...)
	}
	return match{&expr.Meta{Key: key, Register: 1}, &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: data}}
}

// Where the addresses are in an IPv4 header, in bytes (RFC 791, section 3.1).
const (
	sourceAt      = 12
	destinationAt = 16
)

func source(p netip.Prefix) match      { return addressIn(sourceAt, p) }
func destination(p netip.Prefix) match { return addressIn(destinationAt, p) }

func addressIn(offset uint32, p netip.Prefix) match {
	mask := binary.BigEndian.AppendUint32(nil, uint32(uint64(0xffffffff)<<(32-p.Bits())))
	return match{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: 4},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: mask, Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: p.Masked().Addr().AsSlice()},
	}
}

// Obstacles tells of other tables that may drop what goes by the uplink: a chain at the forward
// hook that drops what it does not know, as Docker and many firewalls set. No rule of ours can
// overrule it.
func Obstacles(device string) ([]string, error) {
	c, err := nftables.New()
	if err != nil {
		return nil, noTables(err)
	}
	var notes []string
	for _, family := range []nftables.TableFamily{nftables.TableFamilyIPv4, nftables.TableFamilyINet} {
		chains, err := c.ListChainsOfTableFamily(family)
		if err != nil {
			return nil, noTables(err)
		}
		for _, ch := range chains {
			if ch.Hooknum == nil || *ch.Hooknum != *nftables.ChainHookForward || ch.Policy == nil || *ch.Policy != nftables.ChainPolicyDrop {
				continue
			}
			notes = append(notes, fmt.Sprintf("uplink: the chain %s of this machine's nftables table %s %s drops what it does not know, and may drop the lab's packets: let in it pass what comes from and goes to %s (iptables -I FORWARD -i %s -j ACCEPT; iptables -I FORWARD -o %s -j ACCEPT)",
				ch.Name, familyName(family), ch.Table.Name, device, device, device))
		}
	}
	return notes, nil
}

func familyName(f nftables.TableFamily) string {
	if f == nftables.TableFamilyINet {
		return "inet"
	}
	return "ip"
}
