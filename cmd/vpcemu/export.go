package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/vpcemu/vpcemu/internal/control"
)

func newExport() *cobra.Command {
	req := control.ExportRequest{}
	out, force := "", false
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write the lab as a topology file, or as a Terraform configuration",
		Long: `Export writes one Region of the lab as a file that makes it again, however it was made: by a
topology file, by "vpcemu ec2", or through the EC2 API. The lab that comes of it has the same
ranges, addresses, rules and machines; IDs and disks are its own.

"vpcemu up" with the file and the same lab changes the objects that a topology file made. Those that
were made by calls would be made once more; --adopt gives them to the file first, so that it changes
them as well. The next "up" gives those without a Name tag the name that they have in the file.

What the file cannot say is listed on standard error and at the top of the file. A Terraform
configuration is for the AWS provider, and says what AWS has: no Internet hosts, impairments or root
file systems.`,
		Example: `  sudo vpcemu export -o lab.yaml
  sudo vpcemu up lab.yaml --lab copy
  sudo vpcemu export --adopt -o lab.yaml && sudo vpcemu up lab.yaml
  sudo vpcemu export --format terraform -o main.tf
  sudo vpcemu export --region eu-west-1`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if req.Format != control.ExportTopology && req.Format != control.ExportTerraform {
				return usageOf(cmd, fmt.Errorf("--format %q: it is topology or terraform", req.Format))
			}
			if req.Adopt && (req.Format != control.ExportTopology || req.Region != "") {
				return usageOf(cmd, errors.New("--adopt is for the topology file of the home Region"))
			}
			if _, err := os.Lstat(out); out != "" && err == nil && !force {
				return usageOf(cmd, fmt.Errorf("%s is there already; give --force to write over it", out))
			}
			c, _, err := client(cmd.Context())
			if err != nil {
				return err
			}
			e, err := c.Export(cmd.Context(), req)
			if err != nil {
				return err
			}
			if !req.Adopt {
				return writeExport(cmd, e, out, func() error { return nil })
			}
			return writeExport(cmd, e, out, func() error {
				req.Kept = e.Digest()
				_, err := c.Export(cmd.Context(), req)
				return err
			})
		},
	}
	cmd.Flags().StringVar(&req.Format, "format", control.ExportTopology, "topology or terraform")
	cmd.Flags().StringVar(&req.Region, "region", "", "the Region to write (default: the lab's home Region)")
	cmd.Flags().StringVarP(&out, "output", "o", "", "write to this `file` instead of standard output")
	cmd.Flags().BoolVar(&req.Adopt, "adopt", false, "have the file be what made the lab's objects, for `vpcemu up` with the same lab")
	cmd.Flags().BoolVar(&force, "force", false, "write over a file that is there")
	return cmd
}

// writeExport writes the file; kept is told when it is written, but for the name that replaces what was there.
func writeExport(cmd *cobra.Command, e *control.Exported, out string, kept func() error) error {
	mode := fs.FileMode(0o644)
	if e.UserData {
		mode = 0o600 // it often holds secrets
	}
	if out == "" {
		if _, err := io.WriteString(cmd.OutOrStdout(), e.Text); err != nil {
			return err
		}
		if err := kept(); err != nil {
			return err
		}
	} else if err := writeWholeIf(out, []byte(e.Text), mode, kept); err != nil {
		return err
	}
	for _, n := range e.Notes {
		fmt.Fprintln(cmd.ErrOrStderr(), "not as in the lab:", n)
	}
	if e.Problem != "" {
		return errors.New("the file is not as `vpcemu up` takes it; mend it by hand: " + e.Problem)
	}
	return nil
}
