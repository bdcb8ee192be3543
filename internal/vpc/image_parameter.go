package vpc

import (
	"slices"
	"strings"
)

// ImageParameters are the public parameters of AWS Systems Manager that name the latest image of a
// distribution, ordered by name, with the IDs that they have here: images of the catalogue,
// whose root file system is the host's unless the lab gives the ID another one.
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
	add := func(id string, names ...string) {
		for _, name := range names {
			list = append(list, ImageParameter{name, id})
		}
	}
	// Amazon and the others call architectures differently.
	for _, a := range []struct{ suffix, amazon, other string }{{"0", Architecture, "amd64"}, {"1", ArchitectureARM, "arm64"}} {
		id := func(n string) string { return "ami-0766563656d7500" + a.suffix + n }
		add(id("2"), amazon+"al2023-ami-kernel-default-"+a.amazon, amazon+"al2023-ami-kernel-6.1-"+a.amazon,
			amazon+"al2023-ami-minimal-kernel-default-"+a.amazon, amazon+"al2023-ami-minimal-kernel-6.1-"+a.amazon)
		add(id("3"), amazon+"amzn2-ami-hvm-"+a.amazon+"-gp2", amazon+"amzn2-ami-hvm-"+a.amazon+"-ebs",
			amazon+"amzn2-ami-kernel-5.10-hvm-"+a.amazon+"-gp2", amazon+"amzn2-ami-kernel-5.10-hvm-"+a.amazon+"-ebs")
		add(id("8"), amazon+"amzn2-ami-minimal-hvm-"+a.amazon+"-ebs")
		for _, kind := range []string{"server", "server-minimal"} {
			for _, release := range []string{"24.04", "noble"} {
				add(id("4"), ubuntu+kind+"/"+release+"/stable/current/"+a.other+"/hvm/ebs-gp3/ami-id")
			}
			for _, release := range []string{"22.04", "jammy"} {
				add(id("5"), ubuntu+kind+"/"+release+"/stable/current/"+a.other+"/hvm/ebs-gp2/ami-id")
			}
		}
		for _, kind := range []string{"release", "daily"} {
			add(id("6"), debian+kind+"/12/latest/"+a.other, debian+kind+"/bookworm/latest/"+a.other)
			add(id("7"), debian+kind+"/13/latest/"+a.other, debian+kind+"/trixie/latest/"+a.other)
		}
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
	return "", errorf("InvalidParameterValue", "The parameter %s of Systems Manager does not exist: a lab has the public ones of Amazon Linux, Ubuntu and Debian (aws ssm get-parameters-by-path --path /aws/service --recursive).", name)
}
