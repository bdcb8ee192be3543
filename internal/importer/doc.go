// Package importer makes a topology file of a real account: of the JSON that `aws ec2 describe-…` printed, and
// of `terraform show -json`. Both are read into the same account, in the shapes of the EC2 API, from which the
// file is made.
//
// It goes in this order: Read (read.go, awsread.go, terraform*.go) collects what the sources hold; place.go decides what
// belongs to which VPC and Region, and what is left out; names.go gives every object a name of a topology file;
// the convert*.go files make the objects; write.go prints them, with the account's IDs as comments. What cannot be
// brought over is said in a Note, never passed over in silence.
package importer
