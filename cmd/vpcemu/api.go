package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/vpcemu/vpcemu/internal/control"
	"github.com/vpcemu/vpcemu/internal/daemon"
)

func newAPI() *cobra.Command {
	var f apiFlags
	cmd := &cobra.Command{
		Use:   "api",
		Short: "Serve the EC2 API, for the AWS CLI, the SDKs and Terraform",
		Long: `Api has the lab's daemon serve the EC2 API (and of STS and SSM what clients need) at an
address of this machine, and tells how to point clients there. Where there is no lab it makes one: an
empty account with its default VPC. The endpoint comes back with the daemon; run again, the
command changes it.

Any access key will do, so every user of this machine can drive the lab, and thereby run
programs as root in instances, unless --keys names keys: a file in the form of ~/.aws/credentials
(aws_access_key_id = …, aws_secret_access_key = …; each section is a key). Requests must be signed
with one of them then. An address that is not a loopback one needs keys.

Requests of web pages are refused, and requests that call the endpoint by another name than an
address, localhost, or a name given by --host.`,
		Example: `  sudo vpcemu api
  eval "$(sudo vpcemu api --env)" && aws ec2 describe-vpcs
  sudo vpcemu api --listen 127.0.0.1:0     # a free port
  sudo vpcemu api --keys ./credentials --listen 10.0.0.5:4566
  sudo vpcemu api --off`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd.Context(), cmd.OutOrStdout()) },
	}
	cmd.Flags().StringVar(&f.listen, "listen", "", "`address` and port, port 0 for a free one (default "+control.DefaultAPI+")")
	cmd.Flags().StringVar(&f.keys, "keys", "", "verify signatures, with the keys in a `file`; \"any\" ends that")
	cmd.Flags().StringArrayVar(&f.hosts, "host", nil, "a further `name` of the endpoint in requests; may be given several times")
	cmd.Flags().StringVar(&f.delays, "delays", "", "`how` long states such as pending last: none (the default) or aws (a NAT gateway 90 s)")
	cmd.Flags().BoolVar(&f.off, "off", false, "serve it no more")
	cmd.Flags().BoolVar(&f.env, "env", false, "print only the lines for the shell")
	outputFlag(cmd, &f.out)
	cmd.MarkFlagsMutuallyExclusive("off", "listen")
	cmd.MarkFlagsMutuallyExclusive("off", "keys")
	cmd.MarkFlagsMutuallyExclusive("off", "env")
	cmd.MarkFlagsMutuallyExclusive("off", "delays")
	return cmd
}

type apiFlags struct {
	listen, keys string
	hosts        []string
	delays       string
	off, env     bool
	out          string
}

func (f *apiFlags) run(ctx context.Context, w io.Writer) error {
	req, err := f.request()
	if err != nil {
		return err
	}
	lab := labFlag
	if lab == "" && len(labs()) == 0 && !f.off {
		lab = emptyLab
	} else if lab, err = theLab(); err != nil {
		return err
	}
	_, err = os.Stat(labDirs(lab).StateDir)
	fresh := errors.Is(err, os.ErrNotExist)
	c, err := f.connect(ctx, lab)
	if err != nil {
		return err
	}
	if err = serveAPI(ctx, w, c, req, f.env, f.out); err != nil && fresh { // made for nothing but this
		err = errors.Join(err, dropUnserved(context.WithoutCancel(ctx), c, labDirs(lab)))
	}
	return err
}

// dropUnserved removes a lab that was made for an API that cannot be served, unless another command
// has the lab serve one meanwhile.
func dropUnserved(ctx context.Context, c *control.Client, cfg daemon.Config) error {
	if is, err := c.API(ctx, nil); err != nil || is.Listen != "" {
		return err
	}
	return runDown(ctx, cfg)
}

// connect brings the lab up, unless it is to serve nothing.
func (f *apiFlags) connect(ctx context.Context, lab string) (*control.Client, error) {
	if f.off {
		return connect(ctx, labDirs(lab), false)
	}
	return upEmpty(ctx, lab, "")
}

func (f *apiFlags) request() (*control.APIRequest, error) {
	req := &control.APIRequest{Off: f.off, Listen: f.listen, Hosts: f.hosts, Delays: f.delays, AnyKey: f.keys == "any"}
	for i := range req.Hosts {
		req.Hosts[i] = strings.ToLower(req.Hosts[i])
	}
	if f.keys != "" && f.keys != "any" {
		keys, err := readKeys(f.keys)
		if err != nil {
			return nil, err
		}
		req.Keys = keys
	}
	return req, nil
}

// readKeys reads access keys from a file as the AWS CLI has it (~/.aws/credentials), that nobody else may read.
func readKeys(path string) (map[string]string, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if is, err := file.Stat(); err != nil {
		return nil, err
	} else if is.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s: others may read the secrets in it: chmod 600 %s", path, path)
	}
	keys := map[string]string{}
	id, secret := "", ""
	add := func() {
		if id != "" && secret != "" {
			keys[id] = secret
		}
		id, secret = "", ""
	}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if strings.HasPrefix(strings.TrimSpace(lines.Text()), "[") { // the next profile
			add()
		}
		name, value, _ := strings.Cut(lines.Text(), "=")
		switch value = strings.TrimSpace(value); strings.ToLower(strings.TrimSpace(name)) {
		case "aws_access_key_id":
			id = value
		case "aws_secret_access_key":
			secret = value
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if add(); len(keys) == 0 {
		return nil, fmt.Errorf("%s: it has no aws_access_key_id with an aws_secret_access_key", path)
	}
	return keys, nil
}

// serveAPI changes the endpoint, and tells how to use it.
func serveAPI(ctx context.Context, w io.Writer, c *control.Client, req *control.APIRequest, env bool, out string) error {
	api, err := c.API(ctx, req)
	if err != nil {
		return whoListens(ctx, err, cmp.Or(req.Listen, control.DefaultAPI))
	}
	lab, err := c.Lab(ctx)
	if err != nil {
		return err
	}
	switch {
	case out != "":
		return printAs(w, out, api)
	case api.Listen == "":
		_, err = fmt.Fprintf(w, "lab %s serves no API\n", lab.Name)
	case env:
		_, err = io.WriteString(w, environment(api, lab.Region))
	default:
		_, err = io.WriteString(w, banner(api, lab))
	}
	return err
}

// whoListens adds to an error the lab that has the address, if one has.
func whoListens(ctx context.Context, err error, listen string) error {
	for _, lab := range labs() {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		if is, e := control.NewClient(labDirs(lab).RunDir).API(ctx, nil); e == nil && is.Listen == listen && is.Problem == "" {
			return fmt.Errorf("%w (lab %s serves its API there)", err, lab)
		}
	}
	return err
}

// environment are the lines by which a shell's clients find the endpoint.
func environment(api *control.API, region string) string {
	text := "export AWS_ENDPOINT_URL=http://" + reachable(api.Listen) + "\nexport AWS_REGION=" + region + " AWS_DEFAULT_REGION=" + region + "\n"
	if !api.Keys {
		text += "export AWS_ACCESS_KEY_ID=any AWS_SECRET_ACCESS_KEY=any\n"
	}
	return text
}

// reachable is the address that clients on this machine use.
func reachable(listen string) string {
	addr, err := netip.ParseAddrPort(listen)
	if err != nil || !addr.Addr().IsUnspecified() {
		return listen
	}
	own := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	if addr.Addr().Is6() {
		own = netip.IPv6Loopback()
	}
	return netip.AddrPortFrom(own, addr.Port()).String()
}

func banner(api *control.API, lab *control.Lab) string {
	var b strings.Builder
	fmt.Fprintf(&b, "lab %s serves the EC2 API at http://%s\n\n", lab.Name, api.Listen)
	for line := range strings.Lines(environment(api, lab.Region)) {
		b.WriteString("  " + line)
	}
	b.WriteString("  aws ec2 describe-vpcs\n\n")
	if api.Delays == control.DelaysAWS {
		b.WriteString("States such as pending last as long as on AWS.\n")
	}
	if api.Keys {
		b.WriteString("Requests must be signed with one of the keys given.\n")
	} else {
		b.WriteString("Every user of this machine can drive the lab with it, and so run programs as root in its\ninstances; with `vpcemu api --keys FILE` only who has a key.\n")
	}
	return b.String()
}

// emptyLab is the name of the lab that `up` and `api` make without a file.
const emptyLab = "lab"

// upEmpty brings up a lab without a topology file: as it was, or an empty account with its default
// VPC in a Region ("": AWS_REGION or AWS_DEFAULT_REGION, else us-east-1).
func upEmpty(ctx context.Context, lab, region string) (*control.Client, error) {
	if err := validLab(lab); err != nil {
		return nil, err
	}
	cfg := labDirs(lab)
	_, err := os.Stat(cfg.StateDir)
	fresh := errors.Is(err, os.ErrNotExist)
	c, err := connect(ctx, cfg, true)
	if err != nil {
		return nil, err
	}
	is, err := c.Lab(ctx)
	if err != nil || is.Region != "" {
		return c, err
	}
	for _, r := range []string{region, os.Getenv("AWS_REGION"), os.Getenv("AWS_DEFAULT_REGION"), "us-east-1"} {
		if region = r; r != "" {
			break
		}
	}
	// The name of a file has narrower rules than that of a lab, which the daemon knows.
	req := control.UpRequest{File: "no file", Text: "version: 1\nname: " + emptyLab + "\nregion: " + region + "\n"}
	if _, err := c.Up(ctx, req, nil); err != nil {
		if fresh {
			err = errors.Join(err, dropEmpty(ctx, c, cfg))
		}
		return nil, err
	}
	return c, nil
}
