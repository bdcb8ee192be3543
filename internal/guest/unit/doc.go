// Package unit is the service manager of an instance: it runs Debian's unmodified unit files well enough
// that `systemctl start mariadb` does what a reader of any AWS tutorial expects, although PID 1 is not
// systemd.
//
// The way of a request: Main (systemctl's command line) -> Serve (the socket in PID 1) -> command.go (one
// verb each) -> Manager (jobs and order) -> service (one unit's life, one goroutine) -> Config.Spawn.
// Files below the manager: load.go finds a unit's file, drop-ins and aliases; parse.go and words.go read
// the syntax (systemd.syntax(7)); definition.go gives the settings types; environ.go and spawn.go make
// processes of them; notify.go is sd_notify(3).
//
// What it knows: services of type simple, exec, forking, oneshot, notify, dbus and idle (the last two run
// like exec), timers, templates, drop-ins, aliases, masks, presets, conditions on paths, Requires, Wants and After
// among services, Restart with start limits, and /etc/init.d scripts where there is no unit. Settings it does not
// know are ignored, as systemd ignores those of a later version. Sandboxing (ProtectSystem, PrivateTmp,
// capabilities) is not applied: the instance is the sandbox. The ExecStartPre that tests sshd's configuration is
// left to sshd. There are no cgroups: the processes of a unit are those that carry its invocation ID or session, and
// their descendants.
//
// # Enabled
//
// Enabled is what the symlinks in /etc/systemd/system/*.target.wants say, as with systemd. An instance's root shows
// the host's /etc, and with the host's symlinks every service installed there would run in every instance: so the
// disk of an instance begins with these folders empty (package disk), and what is in them was enabled inside, by
// systemctl or by a package's scripts. The same goes for /etc/rc2.d and its like. Beside that, the units of
// Config.Enabled (ssh) start unless they were disabled inside.
package unit
