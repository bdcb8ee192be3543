// Package host makes, finds and removes what a lab has on the machine: an instance is a sandbox (network,
// mount, UTS, PID and IPC namespaces with the program vpcemu-guest as PID 1) with a disk, and outlives the
// process that started it.
//
// Everything carries the lab's label, so that whoever comes after a crash finds all of it, whole or half-made:
//
//	RunDir/instances/ID     control socket, state, cause of the exit
//	StateDir/disks/ID       the disk (package disk) and the console's log
//	/run/netns/LAB.NAME     the network namespace's name; the label is the text of the file below the mount
//	the process             its arguments (wire.Label)
//
// Start does its steps in an order that leaves no orphan: the process is recorded before it gets its
// configuration, and a PID 1 that gets none exits. Processes are held by pidfd; a recorded PID counts only
// with the same start time in the same boot of the machine.
//
// Reading order: host (what there is and goes), start, netns, disk, process, sandbox (one running instance),
// exec (programs inside), services (a VPC's own servers), check.
package host
