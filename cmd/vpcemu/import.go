package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vpcemu/vpcemu/internal/importer"
)

func newImport() *cobra.Command {
	var f importFlags
	cmd := &cobra.Command{
		Use:   "import FILE|DIR…",
		Short: "Make a topology file of a real account, as AWS CLI or Terraform show it",
		Long: `Import reads JSON that "aws ec2 describe-…" printed, one file a call, or all files of a folder, and what
"terraform show -json" prints of a state or plan, and writes a topology file that brings up the same VPCs here.
What each file holds is told by its contents, not by its name; "-" is standard input. --print-commands prints a
script that makes such a dump. It reads nothing but these files, and needs no root and no lab.

Private addresses, groups, ACLs, routes and tags come over as they are. What a lab has not (IPv6, peering,
endpoints, load balancers and other services' interfaces, …) is listed on standard error and at the top of the
file, with each object's ID and the reason. Elastic IPs get addresses of the lab's documentation ranges, also in
rules that name them; --keep-public-addresses keeps the real ones, which then nothing in the lab can reach on
the real Internet. docs/import.md has what becomes of everything.`,
		Example: `  vpcemu import --print-commands | sh            # with your credentials: dump/REGION/*.json
  vpcemu import dump -o lab.yaml
  vpcemu import dump --region eu-west-1 --vpc main -o main.yaml
  terraform show -json | vpcemu import - -o lab.yaml
  sudo vpcemu up lab.yaml`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.run(cmd, args)
		},
	}
	cmd.Flags().StringVarP(&f.out, "output", "o", "", "write the topology to this `file` instead of standard output")
	cmd.Flags().BoolVar(&f.force, "force", false, "write over a file that is there")
	cmd.Flags().StringVar(&f.opt.Name, "name", "", "name of the lab in the file (default: that of the file)")
	cmd.Flags().StringArrayVar(&f.opt.Vpcs, "vpc", nil, "bring over this VPC only, by `ID`, Name tag or Terraform address; may be given several times")
	cmd.Flags().StringVar(&f.opt.Region, "region", "", "the Region to bring over, where the files hold several")
	cmd.Flags().BoolVar(&f.opt.KeepPublicAddresses, "keep-public-addresses", false, "keep the real Elastic IPs, as public pools of the lab")
	cmd.Flags().BoolVar(&f.opt.WithoutUserData, "without-user-data", false, "leave user data out; on the lab's root file system it often fails")
	cmd.Flags().BoolVar(&f.commands, "print-commands", false, "print a shell script that makes a dump, and do no more")
	return cmd
}

type importFlags struct {
	opt             importer.Options
	out             string
	force, commands bool
}

func (f *importFlags) run(cmd *cobra.Command, args []string) error {
	switch {
	case f.commands && len(args) > 0:
		return usageOf(cmd, errors.New("--print-commands reads no files"))
	case f.commands && f.opt.Region != "" && !regionWord.MatchString(f.opt.Region):
		return usageOf(cmd, fmt.Errorf("--region %q is no Region of AWS", f.opt.Region))
	case f.commands:
		_, err := io.WriteString(cmd.OutOrStdout(), importer.Commands(f.opt.Region))
		return err
	case len(args) == 0:
		return usageOf(cmd, errors.New("name the files or folders to read (--print-commands prints how to make them)"))
	case f.opt.Name != "" && !importer.ValidName(f.opt.Name):
		return usageOf(cmd, fmt.Errorf("--name %q: a lab's name is a letter, then up to 23 of a-z, 0-9 and -", f.opt.Name))
	}
	if _, err := os.Lstat(f.out); f.out != "" && err == nil && !f.force {
		return usageOf(cmd, fmt.Errorf("%s is there already; give --force to write over it", f.out))
	}
	sources, err := readSources(args, cmd.InOrStdin())
	if err != nil {
		return err
	}
	f.opt.Path = f.out
	f.opt.Name = cmp.Or(f.opt.Name, labNameOf(f.out))
	r, err := importer.Import(sources, f.opt)
	if err != nil {
		return usageError{fmt.Errorf("import: %w", err)}
	}
	return f.write(cmd, r)
}

// regionWord is what --print-commands puts into a script.
var regionWord = regexp.MustCompile(`^[a-z0-9-]+$`)

// labNameOf is the name of a lab that a file names, or "".
func labNameOf(path string) string {
	name := strings.ToLower(strings.TrimSuffix(filepath.Base(path), filepath.Ext(path)))
	if path == "" || !importer.ValidName(name) {
		return ""
	}
	return name
}

func (f *importFlags) write(cmd *cobra.Command, r *importer.Result) error {
	mode := fs.FileMode(0o644)
	if r.HasUserData {
		mode = 0o600 // it often holds secrets
	}
	if f.out == "" {
		if _, err := cmd.OutOrStdout().Write(r.Text); err != nil {
			return err
		}
	} else if err := writeWhole(f.out, r.Text, mode); err != nil {
		return err
	}
	w := cmd.ErrOrStderr()
	if len(r.Notes) > 0 {
		fmt.Fprintln(w, "Not brought over, or not as it is there:")
		for _, n := range r.Notes {
			fmt.Fprintln(w, "  - "+n.String())
		}
	}
	where := cmp.Or(f.out, "standard output")
	if r.Invalid != nil {
		return fmt.Errorf("%s is written, but not all of it is as a lab takes it; mend what is wrong by hand:\n%w", where, r.Invalid)
	}
	fmt.Fprintf(w, "%s: %s\n", where, strings.Join(r.Counts, ", "))
	return nil
}

// writeWhole writes a file, or leaves what was there. A link leads to the file, a device or pipe is
// written to, and a file that only its owner reads stays so.
func writeWhole(path string, text []byte, mode fs.FileMode) error {
	return writeWholeIf(path, text, mode, func() error { return nil })
}

// writeWholeIf is writeWhole if agreed says so, which is asked when all that can be foreseen to fail has been done.
func writeWholeIf(path string, text []byte, mode fs.FileMode, agreed func() error) (err error) {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	if was, err := os.Stat(path); err == nil && was.Mode().IsRegular() {
		mode &= was.Mode().Perm()
	} else if err == nil {
		if err := os.WriteFile(path, text, mode); err != nil { // makes and truncates nothing there
			return err
		}
		return agreed()
	}
	t, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			t.Close()
			os.Remove(t.Name())
		}
	}()
	if _, err = t.Write(text); err != nil {
		return err
	}
	if err = errors.Join(t.Chmod(mode), t.Sync(), t.Close()); err != nil {
		return err
	}
	if err = agreed(); err != nil {
		return err
	}
	return os.Rename(t.Name(), path)
}

// readSources reads files, the JSON files of folders, and standard input for "-".
func readSources(args []string, in io.Reader) (sources []importer.Source, err error) {
	for _, arg := range args {
		if arg == "-" {
			s, err := readSource("standard input", in)
			if err != nil {
				return nil, err
			}
			sources = append(sources, s)
			continue
		}
		more, err := readTree(arg)
		if err != nil {
			return nil, err
		}
		sources = append(sources, more...)
	}
	return sources, nil
}

// readTree reads a file, or every *.json below a folder.
func readTree(arg string) (sources []importer.Source, err error) {
	folder := false
	if info, err := os.Stat(arg); err == nil && info.IsDir() {
		arg = filepath.Clean(arg) + string(filepath.Separator) // so that a link to a folder is followed
	}
	err = filepath.WalkDir(arg, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			folder = folder || path == arg
			if path != arg && strings.HasPrefix(d.Name(), ".") {
				return fs.SkipDir
			}
			return nil
		case path != arg && (!d.Type().IsRegular() || strings.HasPrefix(d.Name(), ".") || !strings.EqualFold(filepath.Ext(path), ".json")):
			return nil
		}
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer file.Close()
		s, err := readSource(path, file)
		sources = append(sources, s)
		return err
	})
	if err == nil && folder && len(sources) == 0 {
		err = usageError{fmt.Errorf("%s: no *.json file in it or below", arg)}
	}
	return sources, err
}

func readSource(name string, r io.Reader) (importer.Source, error) {
	b, err := io.ReadAll(io.LimitReader(r, importer.MaxSource+1))
	if err != nil {
		return importer.Source{}, fmt.Errorf("%s: %w", name, err)
	}
	return importer.Source{Name: name, Data: b}, nil
}
