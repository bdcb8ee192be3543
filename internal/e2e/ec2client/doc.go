// Package ec2client holds tests that drive the EC2 API with the AWS SDK for Go v2, a client that
// is not ours: what it sends is understood, and what is answered it reads without loss. It
// is a package of its own because the SDK's client takes a minute to compile.
package ec2client
