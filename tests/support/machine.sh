# A machine of its own for a test: its own /etc, /usr, /var/lib and /run over those of this one. Reads commands from its
# standard input. Runs as root, in a mount namespace of its own; the directory is where the machine's files lie.
# What is not as on a real machine: packages are taken to be installed, and units are started as their user, with their
# folders and a read-only root, without the rest of systemd's sandbox.
set -euo pipefail
scratch=$1
mount -t tmpfs machine "$scratch"
mkdir "$scratch"/{upper,work,lib,run,bin}
cp -a /etc "$scratch/etc"
rm -rf "$scratch/etc/loaxa"
mount --bind "$scratch/etc" /etc
mount --bind "$scratch/lib" /var/lib
mount --bind "$scratch/run" /run
mount -t overlay overlay -o "lowerdir=/usr,upperdir=$scratch/upper,workdir=$scratch/work" /usr

# stub NAME: a program of the machine, its text on standard input
stub() {
    { echo '#!/bin/bash' && cat; } >"$scratch/bin/$1"
    chmod 755 "$scratch/bin/$1"
}
stub sudo <<'STUB'
if [ "$1" = -u ]; then exec setpriv --reuid "$2" --regid "$2" --clear-groups "${@:3}"; fi
exec "$@"
STUB
stub apt-get <<<'exit 0'
stub systemctl <<'STUB'
set -euo pipefail
[ "$1 $2" = "enable --now" ]
unit=/etc/systemd/system/$3.service
of() { sed -n "s/^$1=//p" "$unit"; }
user=$(of User)
for folder in /var/lib:StateDirectory /run:RuntimeDirectory; do
    name=$(of "${folder#*:}")
    [ -z "$name" ] || install -d -m 0755 -o "$user" -g "$(of Group)" "${folder%:*}/$name"
done
state=/var/lib/$(of StateDirectory)
export HOME=$state start user state umask groups
start=$(of ExecStart) umask=$(of UMask) groups=$(of SupplementaryGroups)
setsid unshare --mount bash -euc '
    mount --bind "$state" "$state"
    for place in /etc /usr /var/lib /; do mount -o remount,bind,ro "$place"; done
    cd /
    umask "$umask"
    privileges=(--clear-groups)
    [ -z "$groups" ] || privileges=(--groups "$groups")
    exec setpriv --reuid "$user" --regid "$user" "${privileges[@]}" \
        --no-new-privs --bounding-set=-all $start
' >>"/run/$3.log" 2>&1 </dev/null &
echo $! >>/run/pids
STUB
export PATH=$scratch/bin:$PATH
trap 'while read -r pid; do kill -- "-$pid" || true; done 2>/dev/null </run/pids' EXIT
touch /run/pids

while IFS= read -r line; do
    if eval "$line" >"$scratch/said" 2>&1 </dev/null; then code=0; else code=$?; fi
    cat "$scratch/said"
    printf '\n::done %s\n' "$code"
done
