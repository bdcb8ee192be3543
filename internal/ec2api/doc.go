// Package ec2api serves the EC2 Query protocol, version 2016-11-15, over the
// operations of package vpc: a form comes in, an operation's Input is filled from
// it, and its Output, or the error that it gave, goes out as XML.
//
// What a parameter is called on the wire and what an element is called in an
// answer is in model.txt, which gen makes from AWS's own machine-readable model of
// the API. Members of the model are matched to fields of vpc's types by name; no
// rule of the cloud lives here.
//
// The same endpoint answers STS GetCallerIdentity, which clients ask first, and
// gives requests that are signed for other services to the handlers named in
// Config. The Region of a call is that of its signature, as with AWS's clients.
//
// Sources: Amazon EC2 API Reference, Query requests, Common query parameters, Error codes for
// the Amazon EC2 API; the ec2 protocol of the Smithy specification (AWS EC2
// query protocol).
package ec2api

//go:generate go run ./gen -o model.txt -filters testdata/filters.txt
