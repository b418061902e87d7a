#!/usr/bin/env bash
# Builds a Debian package with dpkg-deb: scripts/deb.sh loaxa-box|loaxa-central ARCH [--binary FILE] [--version V] [--out DIR] [--compression KIND]
# The program is compiled for ARCH (amd64, arm64, armhf, native) with Debian's cross compiler, unless a binary is given.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
    sed -n '2s/^# //p' "$0" >&2
    exit 2
}

[ $# -ge 2 ] || usage
package=$1 arch=$2
shift 2
binary='' version='' out=target/deb compression=xz
while [ $# -gt 0 ]; do
    case "$1" in
    --binary) binary=$2 ;;
    --version) version=$2 ;;
    --out) out=$2 ;;
    --compression) compression=$2 ;;
    *) usage ;;
    esac
    shift 2
done
case "$package" in
loaxa-box)
    part=box units='loaxa-box.service loaxa-first-start.service loaxa-setup.service'
    # The menu takes the console at the next start, not from somebody who sits there now.
    started='loaxa-box.service loaxa-first-start.service'
    ;;
loaxa-central)
    part=central units='loaxa-central.service loaxa-central-backup.service loaxa-central-backup.timer'
    started='loaxa-central.service loaxa-central-backup.timer'
    ;;
*) usage ;;
esac
[ "$arch" != native ] || arch=$(dpkg --print-architecture)
case "$arch" in
amd64) target=x86_64-unknown-linux-gnu tools=x86_64-linux-gnu ;;
arm64) target=aarch64-unknown-linux-gnu tools=aarch64-linux-gnu ;;
# With the times of 32 bits that Debian 12 has there; Debian 13 has others, and its ALSA another name.
armhf) target=armv7-unknown-linux-gnueabihf tools=arm-linux-gnueabihf ;;
*) usage ;;
esac

SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}
export SOURCE_DATE_EPOCH
# Later commits get later versions.
release=$(sed -n '/^\[workspace.package\]/,/^$/s/^version = "\(.*\)"/\1/p' Cargo.toml)
version=${version:-$release+$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y%m%d.%H%M%S)}
maintainer=${LOAXA_MAINTAINER:-Loa Xã <$(git config user.email || echo "loaxa@$(hostname -f)")>}

if [ -z "$binary" ]; then
    target_dir=${LOAXA_CROSS_DIR:-target/cross}
    mkdir -p "$target_dir"
    linker=$(realpath "$target_dir")/linker-$arch
    # With rustup's linker the table of relative addresses takes a hundredth, which Debian 12's C library reads, and equal
    # functions are kept once: 130 kB of a box's arm64.
    linkers=$(rustc --print sysroot)/lib/rustlib/$(rustc -vV | sed -n 's/^host: //p')/bin/gcc-ld
    small=''
    [ ! -x "$linkers/ld.lld" ] || small="-B$linkers -fuse-ld=lld -Wl,-z,pack-relative-relocs,--icf=all"
    printf '#!/bin/sh\nexec %s-gcc %s "$@"\n' "$tools" "$small" >"$linker"
    chmod 0755 "$linker"
    # Nothing is unwound through C: the tables for that are 5 % of it.
    export "CFLAGS_${target//-/_}=-fno-asynchronous-unwind-tables -fno-unwind-tables"
    triple=$(tr a-z- A-Z_ <<<"$target")
    export "CARGO_TARGET_${triple}_LINKER=$linker"
    if [ "$arch" != "$(dpkg --print-architecture)" ]; then
        sysroot=$(scripts/deb_sysroot.sh "$arch" "$target_dir")
        compiler=$tools-gcc
        if [ "$arch" = armhf ]; then
            # Opus asks the processor whether it has NEON; only its files for that may use it, but its build does not say so.
            compiler=$(realpath "$target_dir")/cc-$arch
            printf '#!/bin/sh\ncase "$*" in *_neon*.c*) set -- "$@" -mfpu=neon ;; esac\nexec %s-gcc "$@"\n' "$tools" >"$compiler"
            chmod 0755 "$compiler"
        fi
        export "CC_${target//-/_}=$compiler" "CXX_${target//-/_}=$tools-g++"
        export PKG_CONFIG_ALLOW_CROSS=1 PKG_CONFIG_SYSROOT_DIR=$sysroot PKG_CONFIG_LIBDIR=$sysroot/usr/lib/$tools/pkgconfig
        export "CARGO_TARGET_${triple}_RUSTFLAGS=-L native=$sysroot/usr/lib/$tools"
    fi
    cargo build --profile deb --locked --no-default-features --features "$part" --target "$target" --target-dir "$target_dir"
    binary=$target_dir/$target/deb/loaxa
fi

tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
chmod 0755 "$tree"
# put MODE FILE PLACE
put() { install -D -m "$1" "$2" "$tree/$3"; }

put 0755 "$binary" usr/bin/loaxa
strip=$(command -v "$tools-strip" || command -v strip)
"$strip" --strip-unneeded --remove-section=.comment --remove-section=.note "$tree/usr/bin/loaxa"
for unit in $units; do put 0644 "firmware-config/$unit" "usr/lib/systemd/system/$unit"; done
put 0644 "packaging/$part/sysusers" "usr/lib/sysusers.d/$package.conf"
doc=usr/share/doc/$package
put 0644 packaging/copyright "$doc/copyright"
put 0644 "firmware-config/$part.toml" "$doc/examples/$part.toml"
put 0644 "packaging/$part/tmpfiles" "usr/lib/tmpfiles.d/$package.conf"
if [ "$part" = box ]; then
    put 0644 packaging/box/udev.rules "usr/lib/udev/rules.d/70-$package.rules"
    put 0644 packaging/box/sysctl "usr/lib/sysctl.d/50-$package.conf"
    put 0644 packaging/box/chrony.conf etc/chrony/conf.d/loaxa.conf
    put 0644 firmware-config/asound.conf "$doc/examples/asound.conf"
else
    for name in mosquitto.conf mosquitto.acl mosquitto-crl.path mosquitto-crl.service emqx.conf emqx-acl.conf nginx.conf; do
        put 0644 "firmware-config/$name" "$doc/examples/$name"
    done
    for name in rmqtt.toml plugins/rmqtt-{acl,cluster-broadcast,shared-subscription}.toml; do
        put 0644 "firmware-config/rmqttd/$name" "$doc/examples/rmqttd/$name"
    done
fi
packed() { gzip -9 -n >"$tree/$1" && chmod 0644 "$tree/$1"; }
mkdir -p "$tree/usr/share/man/man1"
packed usr/share/man/man1/loaxa.1.gz <packaging/loaxa.1
packed "$doc/changelog.gz" <<CHANGES
$package ($version) stable; urgency=medium

  * Built from the source of $release; its CHANGELOG.md says what is new.

 -- $maintainer  $(date -u -R -d "@$SOURCE_DATE_EPOCH")
CHANGES
if [ -e "packaging/$part/lintian-overrides" ]; then
    put 0644 "packaging/$part/lintian-overrides" "usr/share/lintian/overrides/$package"
fi

# The oldest C library that has every symbol in use.
libc=$(readelf --version-info "$tree/usr/bin/loaxa" | sed -n 's/.*Name: GLIBC_\([0-9.]*\) .*/\1/p; s/.*Name: GLIBC_ABI_DT_RELR .*/2.36/p' |
    sort -uV | tail -n 1)
alsa='libasound2 (>= 1.2.8) | libasound2t64 (>= 1.2.8)'
[ "$arch" != armhf ] || alsa='libasound2 (>= 1.2.8)'
enabled=$(cd firmware-config && echo "$units" | xargs grep -l '^\[Install\]' | xargs)
size=$(du -sk --apparent-size "$tree" | cut -f1)
fill() {
    sed -e "s/@VERSION@/$version/; s/@ARCH@/$arch/; s/@MAINTAINER@/$maintainer/; s/@SIZE@/$size/" \
        -e "s/@LIBC@/libc6 (>= $libc)/; s/@ALSA@/$alsa/; s/@PACKAGE@/$package/; s/@UNITS@/$enabled/; s/@STARTED@/$started/" "$1"
}
mkdir "$tree/DEBIAN"
fill "packaging/$part/control" >"$tree/DEBIAN/control"
for script in postinst prerm "$part/postrm"; do
    fill "packaging/$script" >"$tree/DEBIAN/${script##*/}"
    chmod 0755 "$tree/DEBIAN/${script##*/}"
done
(cd "$tree" && find etc -type f -printf '/%p\n' 2>/dev/null | sort) >"$tree/DEBIAN/conffiles" || true
[ -s "$tree/DEBIAN/conffiles" ] || rm "$tree/DEBIAN/conffiles"
(cd "$tree" && find usr -type f -print0 | sort -z | xargs -0 md5sum) >"$tree/DEBIAN/md5sums"
chmod 0644 "$tree"/DEBIAN/{control,md5sums}
find "$tree" -type d -exec chmod 0755 {} +
find "$tree" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +

mkdir -p "$out"
deb=$out/${package}_${version}_$arch.deb
dpkg-deb --root-owner-group -Z"$compression" --build "$tree" "$deb" >&2
echo "$deb"
