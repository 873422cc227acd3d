#!/bin/bash
# build.sh [NAME...]
# Builds the real peers the integration tests talk to, all of them or those named:
#   dqlite   Juju's database library, linked into jujuagentd
#   juju41   juju and jujuagentd 4.1: the CLI and a controller
#   juju36   juju 3.6.11: the CLI of the long-term support line
#   juju354  juju 3.5.4: the oldest CLI that JIMM lets in
#   prepare  writes what a controller machine has before its bootstrap
#   pebble   Pebble 1.32.1, which runs the services of a charm's container
#   openfga  OpenFGA 1.22.1: the server and its migrations
#   vault    the core of HashiCorp Vault 1.14.1
#   hydra    Ory Hydra 2.3.0, an OAuth 2 and OpenID Connect server
#   kratos   Ory Kratos 1.3.1, which keeps people and their passwords
#   dex      Dex 2.45.1, an OpenID Connect server that has the device flow
# Runs as root on Debian 12 with Go installed; missing Debian packages are installed.
#
# Each peer goes into .cache/peers/NAME-KEY of the repository, KEY being a hash of
# all that determines it, and is built once. Progress goes to standard error. Standard
# output gives the programs' paths as shell assignments: JUJU41, AGENT, JUJU36, JUJU354,
# PREPARE, PEBBLE, OPENFGA, VAULT, HYDRA, KRATOS, DEX.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cache=$(realpath -m "$here/../../.cache/peers")

# Juju's own tags leave out the public clouds. With netgo and osusergo nearly every
# package compiles the same with and without cgo, so that juju and jujuagentd share them.
tags=minimal,provider_manual,provider_lxd,provider_kubernetes,netgo,osusergo

export GOWORK=off GOFLAGS="-buildvcs=false -mod=readonly -trimpath -ldflags=-s"

say() { echo "$*" >&2; }

die() {
	say "cannot $*"
	exit 1
}

# build_NAME fills the directory $1. Its text is part of the peer's key.

# Juju 4.1 needs libdqlite 1.18.2 or newer. Debian 12 has an older one, so it is built
# from the source package of unstable, taken from the mirror this machine uses.
build_dqlite() {
	local out=$1 work=$1/work mirror codename apt
	mkdir -p "$work/lists" "$work/cache"
	cd "$work"
	codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
	apt-get -qq update
	# shellcheck disable=SC2016 # the variable is apt's
	mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' "Codename: $codename" | sed -n 1p)
	[ -n "$mirror" ] || { echo "apt knows no mirror for $codename"; return 1; }
	echo "deb-src $mirror sid main" >sources.list
	apt="apt-get -qq -oDir::Etc::sourcelist=$work/sources.list -oDir::Etc::sourceparts=-
		-oDir::State::Lists=$work/lists -oDir::Cache=$work/cache -oAPT::Sandbox::User=root"
	$apt update
	$apt source --download-only dqlite
	dpkg-source --no-check -x dqlite_*.dsc src # apt has checked the hashes
	cd src
	autoreconf -fi
	./configure --disable-shared
	make -j"$(nproc)" libdqlite.la
	strip -g -o "$out/libdqlite.a" .libs/libdqlite.a
	cp include/dqlite.h "$out/"
	rm -rf "$work"
}

build_juju41() {
	local out=$1/bin dqlite
	dqlite=$(place dqlite)
	cd "$here/juju41"
	CGO_ENABLED=0 go build -tags "$tags" -o "$out/juju" github.com/juju/juju/cmd/juju
	# The libraries and the stack size are those of Juju's own Makefile.
	CGO_ENABLED=1 CGO_CFLAGS="-O2 -I$dqlite" CGO_LDFLAGS_ALLOW='-Wl,-z,.*' \
		CGO_LDFLAGS="-L$dqlite -ldqlite -luv -llz4 -lsqlite3 -Wl,-z,stack-size=1048576" \
		go build -tags "dqlite,libsqlite3,$tags" -o "$out/jujuagentd" github.com/juju/juju/cmd/jujuagentd
}

build_juju36() {
	cd "$here/juju36"
	CGO_ENABLED=0 go build -tags "$tags" -o "$1/bin/juju" github.com/juju/juju/cmd/juju
}

build_juju354() {
	cd "$here/juju354"
	CGO_ENABLED=0 go build -tags "$tags" -o "$1/bin/juju" github.com/juju/juju/cmd/juju
}

build_prepare() {
	cd "$here/prepare"
	CGO_ENABLED=0 go build -o "$1/bin/prepare" .
}

build_pebble() {
	cd "$here/pebble"
	CGO_ENABLED=0 go build -o "$1/bin/pebble" github.com/canonical/pebble/cmd/pebble
}

build_openfga() {
	cd "$here/openfga"
	CGO_ENABLED=0 go build -o "$1/bin/openfga" github.com/openfga/openfga/cmd/openfga
}

build_vault() {
	cd "$here/vault"
	CGO_ENABLED=0 go build -o "$1/bin/vault" .
}

# Without their sqlite tag Hydra and Kratos need no cgo; they run on PostgreSQL. Neither
# the replacements nor the hashes of a program's own go.mod count for us, so each go.mod
# here repeats the replacements that its program needs.
build_hydra() {
	cd "$here/hydra"
	CGO_ENABLED=0 go build -o "$1/bin/hydra" github.com/ory/hydra/v2
}

build_kratos() {
	cd "$here/kratos"
	CGO_ENABLED=0 go build -o "$1/bin/kratos" github.com/ory/kratos
}

build_dex() {
	cd "$here/dex"
	CGO_ENABLED=0 go build -o "$1/bin/dex" github.com/dexidp/dex/cmd/dex
}

# about says what the peer $1 is and how long its build takes with empty caches.
about() {
	case $1 in
	dqlite) echo "dqlite … (about 1 min)" ;;
	juju41) echo "juju CLI and jujuagentd 4.1-beta2 … (about 4 min)" ;;
	juju36) echo "juju CLI 3.6.11 … (about 3 min)" ;;
	juju354) echo "juju CLI 3.5.4 … (about 3 min)" ;;
	prepare) echo "prepare …" ;;
	pebble) echo "Pebble 1.32.1 …" ;;
	openfga) echo "OpenFGA 1.22.1 … (about 4 min)" ;;
	vault) echo "Vault 1.14.1 … (about 2 min)" ;;
	hydra) echo "Hydra 2.3.0 … (about 2 min)" ;;
	kratos) echo "Kratos 1.3.1 … (about 2 min)" ;;
	dex) echo "Dex 2.45.1 … (about 2 min)" ;;
	esac
}

# key hashes what the peer $1 is made of: its files, how it is built, and with what.
key() {
	local needs=''
	[ "$1" != juju41 ] || needs=$(key dqlite)
	{
		if [ -d "$here/$1" ]; then (cd "$here/$1" && find . -type f | LC_ALL=C sort | xargs sha256sum); fi
		declare -f "build_$1"
		echo "$needs $tags $GOFLAGS $goversion"
	} | sha256sum | cut -c1-12
}

# place is the directory the peer $1 is built into.
place() { echo "$cache/$1-$(key "$1")"; }

packages_up() {
	local packages="ca-certificates curl iproute2 gcc libc6-dev make dpkg-dev autoconf automake libtool
		pkg-config libuv1-dev liblz4-dev libsqlite3-dev"
	# shellcheck disable=SC2086
	[ "$(dpkg-query -Wf '${db:Status-Abbrev}\n' $packages 2>/dev/null | grep -c '^ii')" != "$(echo $packages | wc -w)" ] || return 0
	say "installing Debian packages …"
	# shellcheck disable=SC2086
	{ apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends $packages; } >"$cache/log" 2>&1 ||
		{ tail -n 20 "$cache/log" >&2; die "install Debian packages: $packages"; }
}

# build makes the peer $1 unless it is there. The stamp is written last, so that an
# interrupted build is done again.
build() {
	local out began=$SECONDS rc
	out=$(place "$1")
	[ ! -e "$out/stamp" ] || return 0
	packages_up
	say "building $(about "$1")"
	rm -rf "$out"
	mkdir -p "$out"
	set +e # for the outer shell only: in "( … ) || …" the inner one would go on after an error
	(set -e; "build_$1" "$out") >"$out.log" 2>&1 </dev/null
	rc=$?
	set -e
	if [ $rc != 0 ]; then
		tail -n 30 "$out.log" >&2
		die "build $1, see $out.log"
	fi
	rm -f "$out.log"
	touch "$out/stamp"
	say "built $1 in $((SECONDS - began)) s"
	# Earlier versions go, except those a colleague's branch may still be running.
	find "$cache" -maxdepth 1 -name "$1-*" ! -name "${out##*/}*" -mtime +7 -exec rm -rf {} +
}

[ "$(id -u)" = 0 ] || die "build the peers: only root can install packages and run controllers"
[[ $cache =~ ^[A-Za-z0-9/._+@-]+$ ]] || die "build the peers: the C toolchain takes no path like $cache"
command -v go >/dev/null || die "build the peers: Go is not installed"
goversion=$(go env GOVERSION GOARCH)

[ $# != 0 ] || set -- dqlite juju41 juju36 juju354 prepare pebble openfga vault hydra kratos dex
for name; do
	declare -F "build_$name" >/dev/null || die "build $name: no such peer"
done

mkdir -p "$cache"
exec 9>"$cache/lock"
flock -n 9 || { say "waiting for another build …" && flock 9; }
for name; do
	[ "$name" != juju41 ] || build dqlite
	build "$name"
	case $name in
	juju41) printf 'JUJU41=%s\nAGENT=%s\n' "$(place juju41)/bin/juju" "$(place juju41)/bin/jujuagentd" ;;
	juju36) printf 'JUJU36=%s\n' "$(place juju36)/bin/juju" ;;
	juju354) printf 'JUJU354=%s\n' "$(place juju354)/bin/juju" ;;
	prepare | pebble | openfga | vault | hydra | kratos | dex) printf '%s=%s\n' "${name^^}" "$(place "$name")/bin/$name" ;;
	esac
done
