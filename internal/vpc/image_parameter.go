package vpc

import (
	"slices"
	"strings"
)

// ImageParameters are the public parameters of AWS Systems Manager that name the latest image of a
// distribution, ordered by name, with the IDs that they have here: images of the catalogue,
// whose root file system is the host's unless the lab gives the ID another one. Those of other
// architectures than Architecture are not among them.
//
// Source: AWS Systems Manager User Guide, "Calling AMI public parameters in Parameter Store"; Canonical's
// and Debian's pages about their images.
func ImageParameters() []ImageParameter { return slices.Clone(imageParameters) }

// ImageParameter is one of them.
type ImageParameter struct {
	Name  string
	Value string // an AMI ID
}

// ImageParameterVersion is the version that every parameter has.
const ImageParameterVersion = "1"

var imageParameters = allImageParameters()

func allImageParameters() (list []ImageParameter) {
	const amazon, ubuntu, debian = "/aws/service/ami-amazon-linux-latest/", "/aws/service/canonical/ubuntu/", "/aws/service/debian/"
	al2023, al2, noble, jammy, bookworm, trixie := wellKnownImages[1].id, wellKnownImages[2].id, wellKnownImages[3].id, wellKnownImages[4].id, wellKnownImages[5].id, wellKnownImages[6].id
	add := func(id string, names ...string) {
		for _, name := range names {
			list = append(list, ImageParameter{name, id})
		}
	}
	add(al2023, amazon+"al2023-ami-kernel-default-x86_64", amazon+"al2023-ami-kernel-6.1-x86_64",
		amazon+"al2023-ami-minimal-kernel-default-x86_64", amazon+"al2023-ami-minimal-kernel-6.1-x86_64")
	add(al2, amazon+"amzn2-ami-hvm-x86_64-gp2", amazon+"amzn2-ami-hvm-x86_64-ebs", amazon+"amzn2-ami-minimal-hvm-x86_64-ebs",
		amazon+"amzn2-ami-kernel-5.10-hvm-x86_64-gp2", amazon+"amzn2-ami-kernel-5.10-hvm-x86_64-ebs")
	for _, kind := range []string{"server", "server-minimal"} {
		for _, release := range []string{"24.04", "noble"} {
			add(noble, ubuntu+kind+"/"+release+"/stable/current/amd64/hvm/ebs-gp3/ami-id")
		}
		for _, release := range []string{"22.04", "jammy"} {
			add(jammy, ubuntu+kind+"/"+release+"/stable/current/amd64/hvm/ebs-gp2/ami-id")
		}
	}
	for _, kind := range []string{"release", "daily"} {
		add(bookworm, debian+kind+"/12/latest/amd64", debian+kind+"/bookworm/latest/amd64")
		add(trixie, debian+kind+"/13/latest/amd64", debian+kind+"/trixie/latest/amd64")
	}
	slices.SortFunc(list, func(a, b ImageParameter) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// resolveImage is the ID that an image is named by: itself, or the value of a parameter
// (resolve:ssm:NAME, with a version or without).
//
// Source: Amazon EC2 User Guide, "Reference AMIs using Systems Manager parameters".
func resolveImage(id string) (string, error) {
	name, ok := strings.CutPrefix(id, "resolve:ssm:")
	if !ok {
		return id, nil
	}
	name, version, given := strings.Cut(name, ":")
	for _, p := range imageParameters {
		if p.Name == name && (!given || version == ImageParameterVersion) {
			return p.Value, nil
		}
	}
	return "", errorf("InvalidParameterValue", "The parameter %s of Systems Manager does not exist: a lab has the public ones of Amazon Linux, Ubuntu and Debian for %s (aws ssm get-parameters-by-path --path /aws/service --recursive).", name, Architecture)
}
