// Package matrix tells who reaches whom on which ports, as the data plane's own pipeline
// sees it: of each pair of ends, imagined packets and their answers (explain.Probe) for each
// range of ports between which no rule that they can meet changes.
package matrix
