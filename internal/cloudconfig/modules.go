package cloudconfig

import "strings"

// refusedModules are those without which the instance is not what the user data makes of it.
var refusedModules = map[string]string{
	"mounts":     "an instance here has no disks but its root, so nothing is mounted; take the key out",
	"swap":       "an instance here shares the host's memory and has no swap of its own; take the key out",
	"disk_setup": "an instance here has no disks but its root; take the key out",
	"fs_setup":   "an instance here has no disks but its root; take the key out",
}

// ignored are keys about which there is nothing to do here, with a word about it where one may expect something.
var ignored = map[string]string{
	"ntp":            "an instance has the clock of its host; nothing is done about it",
	"output":         "",
	"launch-index":   "",
	"merge_how":      "",
	"merge_type":     "",
	"version":        "",
	"growpart":       "",
	"resize_rootfs":  "",
	"grub_dpkg":      "",
	"grub-dpkg":      "",
	"random_seed":    "",
	"reporting":      "",
	"system_info":    "",
	"datasource":     "",
	"vendor_data":    "",
	"updates":        "",
	"apt_pipelining": "",
	"fan":            "",

	"byobu_by_default":          "",
	"no_ssh_fingerprints":       "",
	"authkey_hash":              "",
	"ssh_fp_console_blacklist":  "",
	"ssh_key_console_blacklist": "",
	"ssh_quiet_keygen":          "",
	"ssh_publish_hostkeys":      "",
	"create_hostname_file":      "",
	"mount_default_fields":      "",
}

// unsupported are the other keys of cloud-init's schema (cloudinit/config/schemas/schema-cloud-config-v1.json).
var unsupported = func() map[string]bool {
	known := map[string]bool{}
	for k := range strings.FieldsSeq(`allow_public_ssh_keys ansible apk_repos autoinstall ca-certs ca_certs chef
		cloud_config_modules cloud_final_modules cloud_init_modules device_aliases disable_ec2_metadata disable_root_opts
		drivers keyboard landscape locale locale_configfile lxd manage_resolv_conf mcollective migrate phone_home puppet
		resolv_conf rh_subscription rpi rsyslog salt_minion snap spacewalk ssh ssh_deletekeys ssh_genkeytypes
		ssh_import_id ssh_keys ubuntu_advantage ubuntu_pro wireguard yum_repo_dir yum_repos zypper`) {
		known[k] = true
	}
	return known
}()

// suggest names the key that a misspelt one is likely to mean.
func suggest(key string) string {
	for _, known := range []string{"bootcmd", "runcmd", "write_files", "packages", "package_update", "package_upgrade", "users", "groups", "hostname", "fqdn",
		"ssh_authorized_keys", "chpasswd", "timezone", "power_state", "final_message", "ssh_pwauth", "disable_root"} {
		if strip(key) == strip(known) || strip(key)+"s" == strip(known) || strip(key) == strip(known)+"s" {
			return "; did you mean " + known + "?"
		}
	}
	return ""
}

func strip(s string) string {
	return strings.NewReplacer("_", "", "-", "", " ", "").Replace(strings.ToLower(s))
}
