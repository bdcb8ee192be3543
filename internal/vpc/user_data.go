package vpc

import (
	"encoding/base64"
	"encoding/json"
	"unicode/utf8"
)

// User data is bytes, which may be compressed. JSON has text only, so what is no text is stored as an object with
// the bytes in base64.

// blob is a string of bytes in JSON.
type blob string

func (b blob) MarshalJSON() ([]byte, error) {
	if utf8.ValidString(string(b)) {
		return json.Marshal(string(b))
	}
	return json.Marshal(map[string]string{"Base64": base64.StdEncoding.EncodeToString([]byte(b))})
}

func (b *blob) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		return json.Unmarshal(data, (*string)(b))
	}
	var bytes struct{ Base64 []byte }
	err := json.Unmarshal(data, &bytes)
	*b = blob(bytes.Base64)
	return err
}

type (
	plainInstance Instance
	plainHost     InternetHost
)

// MarshalJSON keeps UserData, which need not be text.
func (i Instance) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		plainInstance
		UserData blob
	}{plainInstance(i), blob(i.UserData)})
}

// UnmarshalJSON reads what MarshalJSON, or an earlier version, has written.
func (i *Instance) UnmarshalJSON(data []byte) error {
	s := struct {
		*plainInstance
		UserData *blob
	}{(*plainInstance)(i), (*blob)(&i.UserData)}
	return json.Unmarshal(data, &s)
}

// MarshalJSON keeps UserData, which need not be text.
func (h InternetHost) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		plainHost
		UserData blob
	}{plainHost(h), blob(h.UserData)})
}

// UnmarshalJSON reads what MarshalJSON, or an earlier version, has written.
func (h *InternetHost) UnmarshalJSON(data []byte) error {
	s := struct {
		*plainHost
		UserData *blob
	}{(*plainHost)(h), (*blob)(&h.UserData)}
	return json.Unmarshal(data, &s)
}
