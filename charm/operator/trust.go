package operator

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strings"

	"jimm/charm/relation"
)

// filesDir is where files of the charm are in the container. The rock makes it,
// for the user that JIMM and Pebble run as.
const filesDir = "/var/lib/jimm"

// file has a file pushed and gives its path, in a directory of its own whose
// name changes with the content: what refers to it changes, too, and JIMM
// restarts. It gives "" for no content.
func (p *planner) file(directory, name, content string) string {
	if content == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(content))
	path := filesDir + "/" + directory + "-" + hex.EncodeToString(sum[:8]) + "/" + name
	p.plan.Files[path] = content
	return path
}

// secretly gives JIMM a setting in a file, so that it is neither in Pebble's plan
// nor in the environment of a process.
func (p *planner) secretly(name, value string) {
	if value != "" {
		p.set(name+"_FILE", p.file(strings.ToLower(strings.ReplaceAll(name, "_", "-")), "value", value))
	}
}

// planTrust collects the certificates of authorities that JIMM is to trust.
func (p *planner) planTrust() {
	var all []string
	for _, r := range p.on(endpointTrust) {
		p.app(r, relation.CertificateTransferRequest())
		var units []relation.Bag
		for _, unit := range slices.Sorted(maps.Keys(r.Units)) {
			units = append(units, r.Units[unit])
		}
		certificates, err := relation.ParseCertificateTransfer(r.Theirs, units...)
		if err != nil {
			p.wrong(endpointTrust, "%s sends what cannot be used: %v", r.App, err)
			continue
		}
		all = append(all, certificates...)
	}
	slices.Sort(all)
	path := p.file("trust", "ca.pem", strings.Join(slices.Compact(all), ""))
	if path != "" {
		// Go reads every file of these directories, beside the system's own list.
		p.set("SSL_CERT_DIR", "/etc/ssl/certs:"+strings.TrimSuffix(path, "/ca.pem"))
	}
}
