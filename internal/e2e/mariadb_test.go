package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// localRepository fetches packages on this machine into a folder that apt can use
// as a repository, by the function that the demo uses.
func localRepository(t *testing.T, packages ...string) string {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command("bash", append([]string{"-c", `. ../../scripts/lib.sh && local_repository "$@"`, "fetch", dir}, packages...)...)
	cmd.Env = append(os.Environ(), "tmp="+t.TempDir())
	out, err := cmd.CombinedOutput()
	if err != nil {
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		t.Fatalf("fetching %s for the lab's repository: %s", strings.Join(packages, " "), lines[len(lines)-1])
	}
	return dir
}

// A registry that falters does not end a run: what one try did not bring, the next one may. One that stays out
// of reach is told in a line, with the reason and without addresses, and so is what asking again cannot mend.
func TestScripts_RegistryThatFalters(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, program, call string
		failures            int
		output, want        string
		tries               int
	}{
		{"apt, once", "apt-get", "fetch_packages x", 1, "E: Failed to fetch http://host.example/pool/x_1.deb  Connection timed out [IP: 192.0.2.1 80]\nE: Some files failed to download", "", 2},
		{"apt, always", "apt-get", "fetch_packages x", 9, "E: Failed to fetch http://host.example/pool/x_1.deb  Connection timed out [IP: 192.0.2.1 80]\nE: Some files failed to download",
			"vpcemu: the Debian package registry is out of reach: connect this machine and run the script again (Failed to fetch x_1.deb Connection timed out Some files failed to download)\n", 3},
		{"apt, no matter of the registry", "apt-get", "fetch_packages x", 9, "E: You don't have enough free space in /var/cache/apt/archives/.", "vpcemu: apt: You don't have enough free space in /var/cache/apt/archives/.\n", 1},
		{"go, once", "go", "fetch_module .", 1, `go: a@v1: Get "https://host.example/a.mod": dial tcp: lookup host.example: i/o timeout`, "", 2},
		{"go, always", "go", "fetch_module .", 9, `go: a@v1: Get "https://host.example/a.mod": dial tcp: lookup host.example: i/o timeout`,
			"vpcemu: the Go module registry is out of reach: connect this machine and run the script again (go: a@v1: Get \"a.mod\": dial tcp: i/o timeout)\n", 3},
		{"go, no matter of the registry", "go", "fetch_module .", 9, "go: go.mod file not found", "vpcemu: go: go: go.mod file not found\n", 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			script := fmt.Sprintf("#!/bin/sh\ncase $1 in update) exit 0 ;; esac\necho x >>%s/tries\n[ $(wc -l <%[1]s/tries) -gt %d ] || { printf '%%s\\n' \"$OUTPUT\"; exit 1; }\n", dir, tc.failures)
			if err := os.WriteFile(filepath.Join(dir, tc.program), []byte(script), 0o755); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command("bash", "-c", ". ../../scripts/lib.sh; pauses='0 0 0'; "+tc.call)
			cmd.Env = append(os.Environ(), "tmp="+dir, "OUTPUT="+tc.output, "PATH="+dir+":"+os.Getenv("PATH"))
			out, err := cmd.CombinedOutput()
			equal(t, "what it says", string(out), tc.want)
			equal(t, "whether it failed", err != nil, tc.want != "")
			tries, err := os.ReadFile(filepath.Join(dir, "tries"))
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "tries", strings.Count(string(tries), "x"), tc.tries)
		})
	}
}

// aptInstall installs packages in an instance from the repository of `server`, and
// from nowhere else. The file system is this machine's, which may have them already.
func (l *lab) aptInstall(instance, server string, packages ...string) error {
	script := `set -e
	rm -f /var/lib/man-db/auto-update # no pages are looked for here: a third of the time
	echo 'deb [trusted=yes] http://` + server + `/packages ./' >/root/lab.list
	only='-o Dir::Etc::sourcelist=/root/lab.list -o Dir::Etc::sourceparts=-'
	export DEBIAN_FRONTEND=noninteractive
	apt-get -q $only update
	apt-get -q -y $only --no-install-recommends --reinstall install ` + strings.Join(packages, " ")
	out, errs, status := l.tryIn(instance, script)
	if status != 0 {
		return fmt.Errorf("%s: apt: exit status %d\n%s%s", instance, status, out, errs)
	}
	if !strings.Contains(out, "Get:") || !strings.Contains(out, server) {
		return fmt.Errorf("%s: apt took nothing from %s:\n%s", instance, server, out)
	}
	return nil
}

// The book's second worked example, with a further database beside the first.
func TestB14_DatabaseWithAPrivateAddress(t *testing.T) {
	t.Parallel()
	text := embedded(t, "book")
	text = replaced(t, text, "    security_groups: [default, web]\n", "    security_groups: [default]\n")
	text = replaced(t, text, "\ninternet_hosts:\n", "  db2: {subnet: private, security_groups: [default]}\n\ninternet_hosts:\n")
	packages := localRepository(t, "mariadb-server", "mariadb-client")
	l := up(t, text)
	server, db, db2 := l.publicOf("server"), l.privateOf("db"), l.privateOf("db2")
	equal(t, "public address of db", l.publicOf("db"), "")
	for _, name := range []string{"web", "db", "db2"} {
		equal(t, "groups of "+name, get(t, l.instance(name), "SecurityGroups", 0, "GroupName"), "default")
	}
	l.copyIn("server", packages, "/srv/www/packages")
	l.waitPort("server", "tcp", 80)

	var wait sync.WaitGroup
	failed := make(chan error, 3)
	for name, pkg := range map[string]string{"db": "mariadb-server", "db2": "mariadb-server", "web": "mariadb-client"} {
		wait.Go(func() {
			if err := l.aptInstall(name, server, pkg); err != nil {
				failed <- err
			}
		})
	}
	wait.Wait()
	close(failed)
	for err := range failed {
		t.Fatal(err)
	}
	// The server noted who fetched what: the databases by the NAT gateway's address.
	log := l.in("server", "cat /root/seen.log")
	for from, file := range map[string]string{l.elasticOf("nat"): "mariadb-server", l.publicOf("web"): "mariadb-client"} {
		if !strings.Contains(log, "\n"+from+" ") || !strings.Contains(log, "/"+file+"_") {
			t.Errorf("the server noted no download of %s from %s:\n%s", file, from, log)
		}
	}

	// Two servers side by side, everything of each at its default place.
	for name, addr := range map[string]string{"db": db, "db2": db2} {
		l.in(name, `printf '[mariadbd]\nbind-address = 0.0.0.0\n' >/etc/mysql/mariadb.conf.d/99-lab.cnf && systemctl start mariadb`)
		l.in(name, `systemctl restart mariadb && systemctl is-active mariadb && mariadb -e "
			CREATE DATABASE shop; CREATE TABLE shop.book (title TEXT); INSERT INTO shop.book VALUES ('kept by `+name+`');
			CREATE USER web@'172.30.0.%' IDENTIFIED BY 'secret'; GRANT ALL ON shop.* TO web@'172.30.0.%'"`)
		l.waitPort(name, "tcp", 3306)
		if got := l.in(name, `mariadb -N -e "SELECT @@hostname, @@datadir, @@socket, @@port"`); got != strings.Join([]string{
			strings.TrimSpace(l.in(name, "hostname")), "/var/lib/mysql/", "/run/mysqld/mysqld.sock", "3306"}, "\t")+"\n" {
			t.Errorf("%s at %s runs as %q", name, addr, got)
		}
	}
	query := func(addr, sql string) (string, time.Duration) {
		t.Helper()
		started := time.Now()
		out := l.in("web", "mariadb -N -h "+addr+" -u web -psecret -e \""+sql+"\"")
		return strings.TrimSpace(out), time.Since(started)
	}
	for name, addr := range map[string]string{"db": db, "db2": db2} {
		// MariaDB looks up the name of a new client: a resolver that does not answer
		// would cost ten seconds.
		out, took := query(addr, "SELECT title FROM shop.book")
		equal(t, "title in "+name, out, "kept by "+name)
		if took > time.Second {
			t.Errorf("the first connection to %s took %v", name, took)
		}
	}
	query(db, "INSERT INTO shop.book VALUES ('Networking on AWS')")
	for addr, want := range map[string]string{db: "2", db2: "1"} {
		if out, _ := query(addr, "SELECT COUNT(*) FROM shop.book"); out != want {
			t.Errorf("%s has %s books, want %s", addr, out, want)
		}
	}
	// It lasts through a stop and start of the instance, and the service with it.
	l.in("db", "systemctl enable mariadb")
	l.cli("stop", "db")
	l.cli("start", "db")
	l.waitPort("db", "tcp", 3306)
	if out, _ := query(db, "SELECT COUNT(*) FROM shop.book"); out != "2" {
		t.Errorf("after stop and start db has %s books, want 2", out)
	}
	// Members of the default group reach it; the Internet does not, by no address.
	l.blocked("laptop", db, 3306, "INTERNET_UNREACHABLE")
	l.blocked("laptop", l.elasticOf("nat"), 3306, "NGW_NO_CONNECTION")
	l.blocked("laptop", l.publicOf("web"), 22, "ENI_SG_RULES_MISMATCH")
}
