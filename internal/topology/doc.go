// Package topology reads topology files and makes a lab's model like them.
//
// A topology file is YAML: a few settings and flat maps of objects by type, with
// Terraform's argument names ("_id" dropped from references) and references by
// name:
//
//	version: 1
//	name: book
//	region: ap-northeast-1
//	vpcs:    {book: {cidr_block: 172.30.0.0/16}}
//	subnets: {public: {vpc: book, cidr_block: 172.30.0.0/24}}
//
// Parse is strict and reports everything that is wrong in one go, each mistake as
// "file:line: object: reason". Converge compares the file with a vpc.Model and
// runs the EC2 operations that make the model like it, in dependency order and on
// one working copy, so that either all of it happens or nothing. Running it again
// changes nothing.
//
// What each key means, its default and what a change of it does is written once:
// in the comments and tags of the types in file.go and objects.go. Parsing, the
// JSON Schema (topologies/schema.json) and the reference (docs/topology.md) all
// come from there; `go generate` writes the last two and a test keeps them true.
//
// The way through the package: yaml.go makes a tree of nodes with their lines,
// decode.go fills the types from it, check*.go find what is wrong between objects,
// converge.go orders the work, and apply*.go do it type by type.
package topology

//go:generate go test -run TestGenerated -update .
