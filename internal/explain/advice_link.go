package explain

import (
	"fmt"
	"strings"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// adviseHeal: something on the way has been failed.
func adviseHeal(f *fault) []string {
	failure := f.m.Failures.Get(vpc.FailureID(f.step.By.ID))
	if failure == nil {
		return nil
	}
	verb := "was failed on purpose: nothing goes in, out or within it"
	switch {
	case failure.To != (vpc.Place{}):
		verb = "was failed on purpose: nothing goes from one end to the other"
	case failure.Place.Type == vpc.PlaceNatGateway:
		verb = "was failed on purpose: it forwards nothing"
	}
	name := failure.Name(f.m)
	return []string{fmt.Sprintf("%s%s %s, until it is healed:", strings.ToUpper(name[:1]), name[1:], verb),
		commandWord + "heal " + strings.Join(quotedWords(failure.Words(f.m)), " ")}
}

// adviseLoss: a link that loses everything. Others are a matter of chance, and no trace's.
func adviseLoss(f *fault) []string {
	i := f.m.Impairments.Get(vpc.ImpairmentID(f.step.By.ID))
	if i == nil {
		return nil
	}
	words := []string{f.m.PlaceWord(i.Place)}
	if i.To != (vpc.Place{}) {
		words = append(words, i.To.ID)
	}
	return []string{"The link loses every packet (loss 100%). To make it perfect:", commandWord + "impair " + strings.Join(quotedWords(words), " ") + " --clear"}
}

// quotedWords are words as the shell takes them.
func quotedWords(words []string) []string {
	out := make([]string, len(words))
	for i, w := range words {
		if out[i] = w; strings.Trim(w, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:-") != "" {
			out[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
	}
	return out
}
