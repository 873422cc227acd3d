package lab

import (
	"archive/zip"
	"net/netip"
	"reflect"
	"testing"
)

func TestRoutesAreReadButForDefaultRoutes(t *testing.T) {
	got, err := parseRoutes("Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n" +
		"eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n" +
		"eth0\t0000020A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n" +
		"jujubr7\t0000070A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n")
	if err != nil {
		t.Fatal(err)
	}
	want := []netip.Prefix{netip.MustParsePrefix("10.2.0.0/16"), netip.MustParsePrefix("10.7.0.0/24")}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestMalformedRouteIsAnError(t *testing.T) {
	if got, err := parseRoutes("Iface Destination\neth0 0000020A\n"); err == nil {
		t.Errorf("got %v, want an error", got)
	}
}

func TestSubnetOfALab(t *testing.T) {
	s := &subnet{number: 42}
	if got, want := s.prefix().String(), "10.42.0.0/24"; got != want {
		t.Errorf("prefix is %s, want %s", got, want)
	}
	if got, want := s.host().String(), "10.42.0.1"; got != want {
		t.Errorf("host is %s, want %s", got, want)
	}
}

func TestCharmCanBeRunAndChanged(t *testing.T) {
	path, err := Charm(t.TempDir(), "probe", CharmOptions{Files: map[string]string{"revision": "7\n", "lib/x": "x"}})
	if err != nil {
		t.Fatal(err)
	}
	archive, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	got := map[string]string{}
	for _, file := range archive.File {
		got[file.Name] = file.Mode().String()
	}
	want := map[string]string{
		"actions.yaml": "-rw-r--r--", "config.yaml": "-rw-r--r--", "dispatch": "-rwxr-xr-x", "lib/x": "-rw-r--r--",
		"manifest.yaml": "-rw-r--r--", "metadata.yaml": "-rw-r--r--", "revision": "-rw-r--r--",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got files %v, want %v", got, want)
	}
}
