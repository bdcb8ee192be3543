package ec2api

import (
	"bytes"
	"net/http"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

const stsNamespace = "https://sts.amazonaws.com/doc/2011-06-15/"

// sts answers GetCallerIdentity, by which clients find out about the account. Every caller
// is its root user: there are no others in a lab.
func (s *Server) sts(w http.ResponseWriter, r *http.Request, body []byte, caller Caller, id string) {
	form, err := formOf(r, body)
	switch action := form.Get("Action"); {
	case err != nil:
	case action == "":
		err = errf("MissingAction", "The request is missing an action or a required parameter.")
	case action != "GetCallerIdentity":
		err = errf("InvalidAction", "Could not find operation %s for version %s", shown(action), shown(form.Get("Version")))
	}
	if err != nil {
		writeQueryError(w, err, id)
		return
	}
	account := s.cfg.Backend.Account()
	var b bytes.Buffer
	b.WriteString(`<GetCallerIdentityResponse xmlns="` + stsNamespace + `"><GetCallerIdentityResult>`)
	b.WriteString("<Arn>arn:" + vpc.Partition(caller.Region) + ":iam::" + account + ":root</Arn><UserId>" + account + "</UserId><Account>" + account + "</Account>")
	b.WriteString("</GetCallerIdentityResult><ResponseMetadata><RequestId>" + id + "</RequestId></ResponseMetadata></GetCallerIdentityResponse>")
	writeXML(w, http.StatusOK, id, b.Bytes())
}
