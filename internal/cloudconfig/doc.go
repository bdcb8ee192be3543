// Package cloudconfig understands the user data of EC2 instances as cloud-init does (https://docs.cloud-init.io,
// "User data formats"), and turns it into a plan for PID 1, which has no YAML of its own. It is pure: bytes in,
// plan and problems out.
//
// Formats: a script (#!), #cloud-config, #cloud-boothook, #cloud-config-archive, MIME archives of these, and any
// of them compressed by gzip. What cloud-init would fetch or compute (#include, ## template: jinja,
// #part-handler) is refused. Other data is no mistake: programs of the instance may read it from the metadata
// service.
//
// The way through the package: Parse (formats.go) finds the parts, yaml.go and merge.go read and join the
// cloud-configs among them, config.go goes through the keys, and the other files know the modules. modules.go
// says which keys are known, and plan.go puts the steps into the order of cloud-init's stages.
package cloudconfig
