package vpc

import (
	"encoding/base64"
	"time"
)

// maxConsole is how much of a console GetConsoleOutput gives, in bytes (EC2 API Reference, GetConsoleOutput: "the most
// recent 64 KB").
const maxConsole = 64 << 10

// GetConsoleOutputInput and the output have the members of the EC2 API.
type GetConsoleOutputInput struct {
	InstanceId InstanceID
	// Latest is of Nitro instances on AWS. Here the output is always the latest.
	Latest bool
	DryRun bool
}

type GetConsoleOutputOutput struct {
	InstanceId InstanceID `json:"InstanceId"`
	Output     string     `json:"Output"` // base64
	Timestamp  time.Time  `json:"Timestamp"`
}

// GetConsoleOutput gives the latest of what an instance, running or not, wrote to its console: nothing if it has not
// been started, or has no disk any more.
func (tx *Tx) GetConsoleOutput(in *GetConsoleOutputInput) (*GetConsoleOutputOutput, error) {
	i, err := find(&tx.Instances, in.InstanceId)
	if err != nil {
		return nil, err
	}
	out := &GetConsoleOutputOutput{InstanceId: i.ID, Timestamp: tx.Call.Now}
	if tx.Call.Console == nil {
		return out, nil
	}
	text, err := tx.Call.Console(i.ID)
	if err != nil {
		return nil, errorf("InternalError", "The console of '%s' cannot be read: %v", i.ID, err)
	}
	out.Output = base64.StdEncoding.EncodeToString(text[max(0, len(text)-maxConsole):])
	return out, nil
}
