// Package vpc is the cloud model: typed IDs, objects, and the operations that
// change them, named after the EC2 actions and taking their parameters by the
// same names.
//
// A Model is a value. An operation is pure: Do(model, call, input) returns a new
// model and an output, or the old model untouched and an *Error with AWS's own
// code. Nothing in this package opens a file, a socket or a device, reads the
// clock or draws a random number: time and IDs come in with the Call.
//
// Objects are immutable once they are in a Model: an operation copies an object,
// changes the copy and puts it back, so that two models share what did not
// change and a difference between them is found by comparing pointers.
//
// The rules are those of the Amazon VPC User Guide and the EC2 API Reference;
// comments and tests name them by the IDs of the project's specification
// (AD-01 addressing, RT-01 routing, SG-01 security groups and so on).
package vpc
