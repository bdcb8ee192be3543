// Package check decides whether a lab is as a topology file's checks say. Each check is
// answered twice, by a trace and by real packets; this package finds what a check's
// words mean in a model, weighs the two answers, and writes the results. Who traces and
// who sends is the daemon's business.
package check
