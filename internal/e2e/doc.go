// Package e2e holds the end-to-end tests: the real vpcemu command, real
// namespaces, real programs. They need root and fail without it. Each of the
// book's claims B01 to B19 has a test of its name.
package e2e
