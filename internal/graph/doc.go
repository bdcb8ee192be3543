// Package graph draws a lab's topology: as a self-contained SVG laid out by hand, as DOT
// for Graphviz and as a Mermaid flowchart. A traced packet's way can be drawn into each.
//
// A VPC is a regular thing: the Internet on top, the VPC's box below with the Internet
// gateway on its edge, availability zones as columns, subnets as rows (public ones first),
// instances inside. All three pictures show one scene, which is read from the model once.
//
// The text of an SVG never leaves its box nor overlaps other text, whatever the names in
// the model are: every string is measured with bounds of common fonts and shortened where
// it is too long; then its tooltip has the whole. The colours suit light and dark viewers
// (prefers-color-scheme), and the picture brings its background along.
package graph
