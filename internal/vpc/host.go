package vpc

import "time"

// CreateInternetHostInput and the types below are vpcemu's own: hosts on the
// lab's Internet, outside every VPC.
type CreateInternetHostInput struct {
	HostName          string // the guest's host name; "" makes one from the address
	PublicIp          string // "" draws one from the pools
	KeyNames          []string
	UserData          string // base64
	LinkType          string // tun (default), tap
	TagSpecifications []TagSpecification
	ClientToken       string
	DryRun            bool
}

type CreateInternetHostOutput struct {
	InternetHost InternetHostInfo `json:"InternetHost"`
}

type DeleteInternetHostInput struct {
	InternetHostId InternetHostID
	DryRun         bool
}

type DeleteInternetHostOutput struct {
	InternetHost InternetHostInfo `json:"InternetHost"`
}

type StartInternetHostInput struct {
	InternetHostId InternetHostID
	DryRun         bool
}

type StartInternetHostOutput struct {
	InternetHost InternetHostInfo `json:"InternetHost"`
}

type StopInternetHostInput struct {
	InternetHostId InternetHostID
	DryRun         bool
}

type StopInternetHostOutput struct {
	InternetHost InternetHostInfo `json:"InternetHost"`
}

type DescribeInternetHostsInput struct {
	InternetHostIds []InternetHostID
	Filters         []Filter
	MaxResults      *int
	NextToken       string
	DryRun          bool
}

type DescribeInternetHostsOutput struct {
	InternetHosts []InternetHostInfo `json:"InternetHosts"`
	NextToken     string             `json:"NextToken,omitempty"`
}

// InternetHostInfo is an Internet host as DescribeInternetHosts tells it.
type InternetHostInfo struct {
	InternetHostId InternetHostID `json:"InternetHostId"`
	HostName       string         `json:"HostName"`
	PublicIp       string         `json:"PublicIp,omitempty"`
	KeyNames       []string       `json:"KeyNames"`
	State          string         `json:"State"`
	StateReason    string         `json:"StateReason,omitempty"`
	LinkType       string         `json:"LinkType"`
	MacAddress     string         `json:"MacAddress"`
	CreateTime     time.Time      `json:"CreateTime"`
	Tags           []Tag          `json:"Tags"`
}
