// Package guest is PID 1 of an instance: what a machine's firmware, kernel command line, cloud-init and init
// system do between power-on and log-in, as small as it gets.
//
// In boot order: Main (which of the program's names was called), run (the configuration, then the steps of
// start), devices (TUN and TAP), root (overlay, /proc, /sys, /dev, pivot_root), users and files, server (the
// control socket, with exec), boot (DHCP, what user data does first, enabled units, the rest of the user data),
// shutdown. What user data means is worked out on the host, by package cloudconfig; userdata.go and the files beside
// it take the steps.
//
// PID 1 holds the queue descriptors of its network devices and lends duplicates to the network's process,
// which may die and come back without the instance losing carrier.
package guest
