package cli

import "time"

// That the machine stands still for a while is no reason to complete nothing.
func init() { completionTime = time.Minute }
