package host_test

func startUntilKilled(string) int { return 1 }
