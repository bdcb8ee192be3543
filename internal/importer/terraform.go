package importer

import "encoding/json"

func (r *reader) terraformDocument(members map[string]json.RawMessage) error { return nil }
