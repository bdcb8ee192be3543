// Package conformance holds no code but a test: each documented rule of Amazon
// VPC that vpcemu means to follow has a test that bears its ID in its name.
// docs/conformance.md is the list.
package conformance
