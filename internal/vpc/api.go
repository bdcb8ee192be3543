package vpc

// API is the lab's endpoint of the EC2 API (vpcemu's own).
type API struct {
	// Listen is the address and port that it listens on, "" while there is none. It is an address
	// and not a name, and the port is not 0.
	Listen string
	// Keys tells that signatures are verified, with keys that the daemon keeps.
	Keys bool `json:",omitempty"`
	// Hosts are further names by which requests may call the endpoint.
	Hosts []string `json:",omitempty"`
	// Delays tells how long objects stay in states that pass: "" not at all, DelaysAWS.
	Delays string `json:",omitempty"`
}
