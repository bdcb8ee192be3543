// Command imdsclient runs inside an instance and asks for its metadata by the AWS SDK, of
// version 2 alone. It prints what it was told as JSON, for the end-to-end tests.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
)

// Report is what the SDK's methods answered. Errors are texts, "" for none.
type Report struct {
	InstanceID, Missing, Region, UserData, Monitoring, IAM string
	Document                                               imds.InstanceIdentityDocument
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	r, err := ask(ctx, imds.New(imds.Options{EnableFallback: aws.FalseTernary}))
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(r)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "imdsclient:", err)
		os.Exit(1)
	}
}

func ask(ctx context.Context, c *imds.Client) (*Report, error) {
	r := &Report{}
	id, err := c.GetMetadata(ctx, &imds.GetMetadataInput{Path: "instance-id"})
	if err != nil {
		return nil, err
	}
	if r.InstanceID, err = text(id.Content); err != nil {
		return nil, err
	}
	_, err = c.GetMetadata(ctx, &imds.GetMetadataInput{Path: "public-ipv4"})
	r.Missing = fmt.Sprint(err)
	region, err := c.GetRegion(ctx, nil)
	if err != nil {
		return nil, err
	}
	r.Region = region.Region
	document, err := c.GetInstanceIdentityDocument(ctx, nil)
	if err != nil {
		return nil, err
	}
	r.Document = document.InstanceIdentityDocument
	data, err := c.GetUserData(ctx, nil)
	if err != nil {
		return nil, err
	}
	if r.UserData, err = text(data.Content); err != nil {
		return nil, err
	}
	dynamic, err := c.GetDynamicData(ctx, &imds.GetDynamicDataInput{Path: "fws/instance-monitoring"})
	if err != nil {
		return nil, err
	}
	if r.Monitoring, err = text(dynamic.Content); err != nil {
		return nil, err
	}
	_, err = c.GetIAMInfo(ctx, nil)
	r.IAM = fmt.Sprint(err)
	return r, nil
}

func text(r io.ReadCloser) (string, error) {
	defer r.Close()
	b, err := io.ReadAll(r)
	return string(b), err
}
