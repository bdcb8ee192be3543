package vpc

// InstanceTypeNetwork tells how many network interfaces an instance of the type takes, and how many private IPv4
// addresses each of them (EN-05); false for a type that is not in the catalogue.
func InstanceTypeNetwork(name string) (interfaces, addresses int, known bool) {
	t, known := instanceTypes[name]
	return t.interfaces, t.addresses, known
}
