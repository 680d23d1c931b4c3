# SPDX-License-Identifier: MIT
# The host's way to its mirrors, carried into a root: apt's sources and settings, certificates, pip's configuration.
# Sourced by .ci/run.
BUNDLE=/etc/ssl/certs/ca-certificates.crt

# Print the sources of a suite at the host's own mirror of Debian. Other people's sources stay out.
apt_sources() {
	local suite=$1 label uri main= security=
	while read -r label uri; do
		case $label in
		Debian) main=$uri ;;
		Debian-Security) security=$uri ;;
		esac
	done < <(apt-get indextargets --format '$(LABEL) $(REPO_URI)' 'Created-By: Packages' 'Origin: Debian')
	[ -n "$main" ] || fail "this host's apt has no mirror of Debian (run apt-get update if it was never run)"
	echo "deb $main $suite main"
	[ "$suite" = sid ] || echo "deb $main $suite-updates main"
	[ "$suite" = sid ] || [ -z "$security" ] || echo "deb $security $suite-security main"
}

# Print how the host's apt fetches: proxies, certificates, the validity of a mirror that lags. Not its hooks and what it
# fetches for them: they call the host's programs.
apt_settings() {
	apt-config dump | grep '^Acquire' | grep -v '^Acquire::\(IndexTargets\|Changelogs\|CompressionTypes\)'
}

# Print NAME=VALUE of the variables that lead to mirrors and certificates, and of two that CI sets; NUL after each.
carried_variables() {
	env --null | grep --null-data --extended-regexp --ignore-case \
		'^(CI|TERM|PIP_[A-Z_]+|SSL_CERT_(FILE|DIR)|(REQUESTS|CURL)_CA_BUNDLE|GIT_SSL_CAINFO|NODE_EXTRA_CA_CERTS|NPM_CONFIG_[A-Z_]+|[a-z]+_proxy)=' |
		grep --null-data --invert-match '^PIP_CACHE_DIR=' || true
}

# Give a root the files by which the host reaches its mirrors, and show it the directories that they name, read-only.
carry_mirrors() {
	local root=$1 path
	carry "$root" /etc/resolv.conf /etc/hosts /etc/apt/auth.conf /etc/apt/auth.conf.d /etc/pip.conf /etc/xdg/pip \
		/usr/local/share/ca-certificates "$BUNDLE"
	# Installing ca-certificates makes the bundle anew, from its own authorities and those in this directory.
	[ ! -e "$BUNDLE" ] || install -D -m 644 "$BUNDLE" "$root/usr/local/share/ca-certificates/host.crt"
	for path in .config/pip .pip; do
		[ ! -e "$HOME/$path" ] || { mkdir -p "$root/root/$path" && cp -rLT "$HOME/$path" "$root/root/$path"; }
	done
	[ ! -e "$HOME/.npmrc" ] || cp -L "$HOME/.npmrc" "$root/root/.npmrc"
	named_paths "$root" | while read -r path; do
		if [ -e "$root$path" ]; then
			continue
		elif [ -d "$path" ]; then
			mkdir -p "$root$path"
			mount --bind "$path" "$root$path"
			mount -o remount,bind,ro "$root$path"
		else
			carry "$root" "$path"
		fi
	done
}

# Copy those of the host's files and directories that there are to the same place in a root.
carry() {
	local root=$1 path
	for path in "${@:2}"; do
		[ ! -e "$path" ] || { mkdir -p "$root${path%/*}" && cp -rLT "$path" "$root$path"; }
	done
}

# Print the absolute paths and file: addresses in a root's pip configuration, package sources and variables.
named_paths() {
	local root=$1
	{
		cat "$root"/etc/{pip.conf,xdg/pip/pip.conf} "$root"/root/{.config/pip,.pip}/pip.conf "$root/etc/apt/sources.list" || true
		carried_variables | tr '\0' '\n'
	} 2>/dev/null | grep --only-matching --extended-regexp '(^|[= ]|file:(//)?)/[^ ,:"]+' |
		sed -E -e 's,^[^/]*(//)?/,/,' -e 's,/simple/*$,,' | sort --unique # an index's pages name files beside simple/
}
