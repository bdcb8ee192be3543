// Package awscli is the command line of the AWS CLI for the operations of package
// vpc: action names, flags, value syntax, help and output as `aws ec2` has them,
// all derived from the operations' input types by reflection.
//
// A command line is read in the steps that the AWS CLI takes: flags are found
// (parse.go), each value becomes plain data by its type (value.go, shorthand.go),
// the customisations of ec2 fold what is no parameter of the API (ec2.go), and
// the data fills the Input (convert.go).
package awscli
