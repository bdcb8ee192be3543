package ssm

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// maxParameters is how many one request names or a page has (API Reference, GetParameters and
// GetParametersByPath).
const maxParameters = 10

type parameter struct {
	Name             string
	Type             string
	Value            string
	Version          int
	Selector         string `json:",omitempty"`
	LastModifiedDate epoch
	ARN              string
	DataType         string
}

// version is that of every parameter.
var version, _ = strconv.Atoi(vpc.ImageParameterVersion)

// since is when the parameters were written: that of the images.
var since = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// arn is the beginning of the ARN of a Region's public parameters, which have no account.
func arn(region string) string {
	return "arn:" + vpc.Partition(region) + ":ssm:" + region + "::parameter"
}

func shown(p Parameter, region string) parameter {
	return parameter{Name: p.Name, Type: "String", Value: p.Value, Version: version, LastModifiedDate: epoch(since),
		ARN: arn(region) + p.Name, DataType: "aws:ec2:image"}
}

// parameterNamed finds a parameter by its name or ARN, with a version behind it or without.
func (s *Server) parameterNamed(region, name string) (parameter, bool) {
	plain := strings.TrimPrefix(name, arn(region))
	plain, selector, selected := strings.Cut(plain, ":")
	for _, p := range s.b.Parameters() {
		if p.Name == plain && (!selected || selector == vpc.ImageParameterVersion) {
			found := shown(p, region)
			if selected {
				found.Selector = ":" + selector
			}
			return found, true
		}
	}
	return parameter{}, false
}

type getParameterInput struct {
	Name           string
	WithDecryption bool // of a String: nothing to do
}

type getParameterOutput struct{ Parameter parameter }

func (s *Server) getParameter(region string, in *getParameterInput) (*getParameterOutput, error) {
	if in.Name == "" {
		return nil, invalid("Name is required.")
	}
	p, ok := s.parameterNamed(region, in.Name)
	if !ok {
		return nil, errorf("ParameterNotFound", "There is no parameter %s: a lab has the public ones that name images (aws ssm get-parameters-by-path --path /aws/service --recursive).", in.Name)
	}
	return &getParameterOutput{p}, nil
}

type getParametersInput struct {
	Names          []string
	WithDecryption bool
}

type getParametersOutput struct {
	Parameters        []parameter
	InvalidParameters []string
}

func (s *Server) getParameters(region string, in *getParametersInput) (*getParametersOutput, error) {
	if n := len(in.Names); n < 1 || n > maxParameters {
		return nil, invalid("Names must have between 1 and %d names, not %d.", maxParameters, n)
	}
	out := &getParametersOutput{Parameters: []parameter{}, InvalidParameters: []string{}}
	for i, name := range in.Names {
		if slices.Contains(in.Names[:i], name) {
			continue
		}
		if p, ok := s.parameterNamed(region, name); ok {
			out.Parameters = append(out.Parameters, p)
		} else {
			out.InvalidParameters = append(out.InvalidParameters, name)
		}
	}
	return out, nil
}

type getParametersByPathInput struct {
	Path             string
	Recursive        bool
	WithDecryption   bool
	ParameterFilters []any
	MaxResults       *int
	NextToken        string
}

type getParametersByPathOutput struct {
	Parameters []parameter
	NextToken  string `json:",omitempty"`
}

func (s *Server) getParametersByPath(region string, in *getParametersByPathInput) (*getParametersByPathOutput, error) {
	if !strings.HasPrefix(in.Path, "/") {
		return nil, invalid("Path must begin with a slash: %s", in.Path)
	}
	if len(in.ParameterFilters) > 0 {
		return nil, errorf("InvalidFilterKey", "vpcemu has no filters for parameters.")
	}
	size := maxParameters
	if in.MaxResults != nil {
		size = *in.MaxResults
	}
	if size < 1 || size > maxParameters {
		return nil, invalid("MaxResults must be between 1 and %d.", maxParameters)
	}
	list := []parameter{}
	for _, p := range s.b.Parameters() {
		below, ok := strings.CutPrefix(p.Name, strings.TrimSuffix(in.Path, "/")+"/")
		if ok && (in.Recursive || !strings.Contains(below, "/")) {
			list = append(list, shown(p, region))
		}
	}
	page, next, err := cut(list, &size, in.NextToken)
	return &getParametersByPathOutput{page, next}, err
}
